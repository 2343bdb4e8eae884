"""What a sample shares with the first is said to have been found."""

FILE = "minillm/serving/writing/answer.py"
OLD = "self.texts[0].request.num_cached_tokens"
NEW = "self.texts[-1].request.num_cached_tokens"
CAUGHT_BY = ("what_samples_share_was_not_found",)
