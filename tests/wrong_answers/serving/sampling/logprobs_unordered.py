"""The k best come in order of id."""

FILE = "minillm/decoding/support.py"
OLD = "possible.gather(-1, values.sort(dim=-1, descending=True, stable=True).indices[:, :k])"
NEW = "possible[:, :k]"
CAUGHT_BY = ("logprobs_are_the_models_own",)
