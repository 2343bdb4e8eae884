"""Closing forgets those who wait."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = '            self._resolve(ticket, REJECTED, BatcherClosed("the batcher was closed while this request waited."))'
NEW = "            pass"
CAUGHT_BY = ["closing_can_turn_away_those_who_wait", "closing_turns_away_those_who_wait"]
