"""A request that named itself nothing is refused for a name that it was given."""

FILE = "minillm/serving/writing/answers.py"
OLD = "for taken in (self.texts, self.live, self.done)"
NEW = "for taken in (self.texts, self.done)"
CAUGHT_BY = ("a_free_name_is_nobodys",)
