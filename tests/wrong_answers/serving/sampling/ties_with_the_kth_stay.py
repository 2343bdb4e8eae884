"""All tokens as good as the k-th stay."""

FILE = "minillm/decoding/support.py"
OLD = "    keep = _among_the_k_best(weights, rules)\n"
NEW = "    keep = torch.ones_like(weights, dtype=torch.bool)\n"
CAUGHT_BY = ("equal_scores_go_by_id",)
