"""The mailbox of a task that left is kept for ever."""

FILE = "minillm/serving/asking/engine_driver.py"
OLD = "                self._mail.pop(mail.request_id, None)\n"
NEW = ""
CAUGHT_BY = ("who_leaves_takes_the_request_along",)
