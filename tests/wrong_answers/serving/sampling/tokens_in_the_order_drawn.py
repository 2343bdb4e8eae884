"""Tokens are put into the rows in the order in which they were drawn."""

FILE = "minillm/decoding/sampling.py"
OLD = "zip(part, drawn, strict=True)"
NEW = "zip(range(len(part)), drawn, strict=True)"
CAUGHT_BY = ("a_row_is_chosen_alone_as_in_company",)
