"""A chosen token that is not among the best is left out."""

FILE = "minillm/decoding/sampling.py"
OLD = "torch.cat((best_ids(logprobs, k), ids), dim=-1)"
NEW = "best_ids(logprobs, k)"
CAUGHT_BY = ("logprobs_are_the_models_own",)
