"""The last token of a text is thought to need room: what just fits is refused."""

FILE = "minillm/serving/request.py"
OLD = "len(self.prompt_token_ids) + self.max_tokens - 1"
NEW = "len(self.prompt_token_ids) + self.max_tokens"
CAUGHT_BY = ("what_can_never_be_served_is_refused",)
