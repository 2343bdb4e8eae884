"""What was answered stays in the engine."""

FILE = "minillm/serving/asking/engine_driver.py"
OLD = "            self.engine.discard(name)\n            mail.request_id = None\n\n    def _end_all"
NEW = "            mail.request_id = None\n\n    def _end_all"
CAUGHT_BY = ("tasks_get_their_own_texts",)
