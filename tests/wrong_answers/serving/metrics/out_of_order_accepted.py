"""Moments a second out of order are taken."""

FILE = "minillm/serving/watching/request_times.py"
OLD = "any(b < a for"
NEW = "any(b < a - 1 for"
CAUGHT_BY = ("moments_out_of_order_are_refused",)
