"""ignore_eos is read the wrong way round."""

FILE = "minillm/serving/writing/answer.py"
OLD = "(*(() if params.ignore_eos else ends), *params.stop_token_ids)"
NEW = "(*(ends if params.ignore_eos else ()), *params.stop_token_ids)"
CAUGHT_BY = ("end_tokens_end_texts_unless_ignored",)
