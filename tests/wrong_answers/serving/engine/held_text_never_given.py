"""Text that could have begun a stop string is kept at the end too."""

FILE = "minillm/serving/writing/answer.py"
OLD = "last=reason is not None, silent=silent)"
NEW = "silent=silent)"
CAUGHT_BY = ("texts_end_where_they_are_told_to",)
