"""More guesses are verified than tokens may still be written."""

FILE = "minillm/serving/schedule/step.py"
OLD = "min(len(request.draft_token_ids), most, left)"
NEW = "min(len(request.draft_token_ids), most)"
CAUGHT_BY = (
    "guesses_are_cut_to_what_may_still_be_written",
    "random_days",
)
