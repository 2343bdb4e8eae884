"""One k for all rows."""

FILE = "minillm/decoding/support.py"
OLD = "[[min(rule.top_k or K, K)] for rule in rules]"
NEW = "[[min([r.top_k or K for r in rules])] for rule in rules]"
CAUGHT_BY = ("a_row_is_chosen_alone_as_in_company",)
