"""Scores are not normalised."""

FILE = "minillm/decoding/sampling.py"
OLD = "logits.float().log_softmax(dim=-1)"
NEW = "logits.float()"
CAUGHT_BY = ("logprobs_are_the_models_own",)
