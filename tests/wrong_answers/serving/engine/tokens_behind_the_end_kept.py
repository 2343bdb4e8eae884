"""Drafts that were right are kept behind the token that ended the text."""

FILE = "minillm/serving/writing/answer.py"
OLD = "return TextChunk(shown, tuple(tokens[:kept]), reason"
NEW = "return TextChunk(shown, tuple(tokens), reason"
CAUGHT_BY = ("random_days",)
