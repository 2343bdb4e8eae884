"""A text that is not read to its end gets drafts."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "writers = [reader for reader, _ in shares if not reader.unread]"
NEW = "writers = [reader for reader, _ in shares]"
CAUGHT_BY = ("long_prompts_are_read_in_pieces",)
