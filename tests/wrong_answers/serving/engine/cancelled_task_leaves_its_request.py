"""Nobody tells the engine that a task was cancelled."""

FILE = "minillm/serving/asking/engine_driver.py"
OLD = "                self.engine.discard(mail.request_id)\n                mail.request_id = None\n\n        with"
NEW = "                mail.request_id = None\n\n        with"
CAUGHT_BY = ("who_leaves_takes_the_request_along",)
