"""Requests of different shapes share a batch."""

FILE = "minillm/serving/batching/send_rule.py"
OLD = " or ticket.shape != front[0].shape"
NEW = ""
CAUGHT_BY = ["shapes_do_not_mix"]
