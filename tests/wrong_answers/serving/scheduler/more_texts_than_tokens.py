"""As many texts run as there are seats, even if a step has fewer tokens."""

FILE = "minillm/serving/schedule/config.py"
OLD = "return min(self.max_num_seqs, self.max_num_batched_tokens)"
NEW = "return self.max_num_seqs"
CAUGHT_BY = ("random_days_without_room",)
