"""Texts are sorted by length, and their answers stay sorted."""

FILE = "minillm/attention/paged.py"
OLD = "    return out if layout.inverse is None else out.index_select(0, layout.inverse)"
NEW = "    return out"
CAUGHT_BY = ("values", "every_family")
