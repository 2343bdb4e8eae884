"""Equal scores are taken from the end."""

FILE = "minillm/decoding/support.py"
OLD = "order = row_scores.sort(dim=-1, descending=True, stable=True).indices"
NEW = "order = row_scores.shape[-1] - 1 - row_scores.flip(-1).sort(dim=-1, descending=True, stable=True).indices"
CAUGHT_BY = ("equal_scores_go_by_id",)
