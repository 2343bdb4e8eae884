"""Log-probabilities are those of another text."""

FILE = "minillm/serving/compute/worker.py"
OLD = "token_logprobs(scores[row : row + len(kept)], kept, best)"
NEW = "token_logprobs(scores[: len(kept)], kept, best)"
CAUGHT_BY = ("random_days",)
