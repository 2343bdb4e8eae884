"""An answer that can still be read is lost to a request that named itself nothing."""

FILE = "minillm/serving/writing/answers.py"
OLD = "for taken in (self.texts, self.live, self.done)"
NEW = "for taken in (self.texts, self.live)"
CAUGHT_BY = ("a_free_name_is_nobodys",)
