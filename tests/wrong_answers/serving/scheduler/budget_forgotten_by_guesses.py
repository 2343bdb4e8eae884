"""Guesses take more tokens than the step has left."""

FILE = "minillm/serving/schedule/step.py"
OLD = "min(len(request.draft_token_ids), most, left)"
NEW = "min(len(request.draft_token_ids), left)"
CAUGHT_BY = (
    "guesses_are_cut_to_the_budget",
    "random_days",
)
