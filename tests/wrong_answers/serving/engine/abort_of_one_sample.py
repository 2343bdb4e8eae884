"""Aborting a request ends one of its n texts."""

FILE = "minillm/serving/engine.py"
OLD = "self._abort([text.request.request_id for text in texts if not text.request.is_finished])"
NEW = "self._abort([text.request.request_id for text in texts[:1] if not text.request.is_finished])"
CAUGHT_BY = ("aborts_are_exact",)
