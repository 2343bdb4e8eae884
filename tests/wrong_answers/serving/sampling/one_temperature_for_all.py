"""Every row has the first row's temperature."""

FILE = "minillm/decoding/support.py"
OLD = "for rule in rules])\n    return shifted"
NEW = "for rule in rules[:1] * len(rules)])\n    return shifted"
CAUGHT_BY = ("a_row_is_chosen_alone_as_in_company",)
