"""k + 1 tokens stay."""

FILE = "minillm/decoding/support.py"
OLD = "[[min(rule.top_k or K, K)] for"
NEW = "[[min((rule.top_k or K) + 1, K)] for"
CAUGHT_BY = ("equal_scores_go_by_id",)
