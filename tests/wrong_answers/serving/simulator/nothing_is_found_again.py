"""The prefix cache is left out."""

FILE = "minillm/serving/simulate.py"
OLD = "prefix=PrefixCache(self.pool)"
NEW = "prefix=None"
CAUGHT_BY = ("shared_beginnings_are_computed_once",)
