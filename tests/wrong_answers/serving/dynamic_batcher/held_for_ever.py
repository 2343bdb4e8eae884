"""Only the first in turn leaves; those held behind it stay."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "        while self._in_turn and self._in_turn[0].number in self._held:"
NEW = "        if self._in_turn and self._in_turn[0].number in self._held:"
CAUGHT_BY = ["answers_leave_in_order", "futures_end_in_order"]
