"""A chosen token that is not among the best is left out."""

FILE = "minillm/decoding/sampling.py"
OLD = "torch.cat((possible.gather(-1, order), ids), dim=-1)"
NEW = "possible.gather(-1, order)"
CAUGHT_BY = ("logprobs_are_the_models_own",)
