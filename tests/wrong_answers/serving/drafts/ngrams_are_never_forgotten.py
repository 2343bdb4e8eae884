"""An ended text's index stays."""

FILE = "minillm/serving/speculation/drafts.py"
OLD = "        self._known.pop(request.request_id, None)"
NEW = "        self._known.get(request.request_id)"
CAUGHT_BY = ("who_is_forgotten_leaves_nothing_behind",)
