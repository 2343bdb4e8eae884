"""Tokens from nowhere are taken."""

FILE = "minillm/serving/watching/request_times.py"
OLD = "if self.token_times and self.scheduled is None:"
NEW = "if False:"
CAUGHT_BY = ("moments_out_of_order_are_refused",)
