"""A prompt of any length is read at once."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "count = min(reader.unread, budget)"
NEW = "count = reader.unread"
CAUGHT_BY = ("long_prompts_are_read_in_pieces",)
