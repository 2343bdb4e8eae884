"""Rows that are computed for nobody cost nothing."""

FILE = "minillm/serving/simulate.py"
OLD = "StepWork.of(shares, rows, output.num_padding_tokens)"
NEW = "StepWork.of(shares, rows)"
CAUGHT_BY = ("padding_is_paid_for_and_counted",)
