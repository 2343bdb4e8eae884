"""A request with a known name goes on with the other text's index."""

FILE = "minillm/serving/speculation/drafts.py"
OLD = "        if index is None or known is not request:"
NEW = "        if index is None:"
CAUGHT_BY = ("a_name_used_again_is_another_text",)
