"""Drafts that were kept are forgotten and read again."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "self.known + right, len(tokens) - 1"
NEW = "self.known, len(tokens) - 1"
CAUGHT_BY = ("a_text_read_along_is_read_once",)
