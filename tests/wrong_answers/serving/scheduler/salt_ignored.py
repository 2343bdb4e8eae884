"""One user's texts are found by another."""

FILE = "minillm/serving/schedule/text_memory.py"
OLD = "salt=request.salt)"
NEW = "salt=None)"
CAUGHT_BY = (
    "salts_keep_texts_apart",
    "random_days",
)
