"""NaN scores stop the engine."""

FILE = "minillm/serving/drafts.py"
OLD = "choose_tokens(logits.nan_to_num(), "
NEW = "choose_tokens(logits, "
CAUGHT_BY = ("broken_scores_are_no_error",)
