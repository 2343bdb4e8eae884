"""NaN scores stop the engine."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "guesses(logits.nan_to_num(), "
NEW = "guesses(logits, "
CAUGHT_BY = ("broken_scores_are_no_error",)
