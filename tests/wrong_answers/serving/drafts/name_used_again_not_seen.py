"""A request with a known name is taken for the one that had it before."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "        if reader is None or reader.request is not request:"
NEW = "        if reader is None:"
CAUGHT_BY = ("a_name_used_again_is_another_text",)
