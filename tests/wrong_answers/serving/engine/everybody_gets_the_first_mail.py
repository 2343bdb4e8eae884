"""Chunks go to whoever asked first."""

FILE = "minillm/serving/asking/engine_driver.py"
OLD = 'mail = self._mail.get(chunk.request_id or "")'
NEW = "mail = next(iter(self._mail.values()), None)"
CAUGHT_BY = ("tasks_get_their_own_texts",)
