"""A conversation is begun with the tokenizer's start token besides the template's."""

FILE = "minillm/serving/llm.py"
OLD = "self.tokenizer.encode(text, add_special_tokens=False)"
NEW = "self.tokenizer.encode(text)"
CAUGHT_BY = ("chats_begin_once",)
