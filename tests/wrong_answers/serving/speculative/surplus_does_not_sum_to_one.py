"""The surplus is drawn from as if it were probabilities: mass is missing at the end."""

FILE = "minillm/decoding/speculative.py"
OLD = "noise * cumulative[-1], right=True"
NEW = "torch.as_tensor(noise, dtype=torch.float64), right=True"
CAUGHT_BY = ("texts_are_distributed_as_the_targets",)
