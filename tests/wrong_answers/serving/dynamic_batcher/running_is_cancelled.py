"""A request in a batch is cancelled, and answered too."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "        if not ticket.is_waiting:\n            return False\n"
NEW = "        if ticket.has_ended:\n            return False\n        if not ticket.is_waiting:\n            self._resolve(ticket, CANCELLED, None)\n            return True\n"
CAUGHT_BY = ["those_who_wait_can_be_cancelled"]
