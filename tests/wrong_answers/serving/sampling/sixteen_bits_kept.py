"""Scores of 16 bits are cut and penalised as they are."""

FILE = "minillm/decoding/sampling.py"
OLD = "return logits if logits.dtype == torch.float64 else logits.float()"
NEW = "return logits"
CAUGHT_BY = ("scores_of_sixteen_bits_are_widened",)
