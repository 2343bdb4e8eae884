"""Padding as a share of the tokens, not of the rows."""

FILE = "minillm/serving/simulate.py"
OLD = "padded / (padded + self.num_tokens)"
NEW = "padded / self.num_tokens"
CAUGHT_BY = ("padding_is_paid_for_and_counted",)
