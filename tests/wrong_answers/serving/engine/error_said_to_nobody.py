"""A text that failed ends, and nobody learns why."""

FILE = "minillm/serving/writing/answer.py"
OLD = 'said = self.answer.error = f"{type(error).__name__}: {error}"'
NEW = 'said = f"{type(error).__name__}: {error}"'
CAUGHT_BY = ("one_failing_text_ends_alone",)
