"""Scores of 64 bits are rounded before the best is looked for."""

FILE = "minillm/decoding/sampling.py"
OLD = "return logits if logits.dtype == torch.float64 else logits.float()"
NEW = "return logits.float()"
CAUGHT_BY = ("greedy_is_the_best_token_in_all_digits",)
