"""The text is read from the beginning every step."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "self.table.truncate(min(self.table.length, self.known + right, len(tokens) - 1))"
NEW = "self.table.truncate(0)"
CAUGHT_BY = ("a_text_read_along_is_read_once",)
