"""Each thread tells its own futures, without taking turns."""

FILE = "minillm/serving/batching/threads.py"
OLD = "        with self._handing_out:\n            while self._ended:\n                ticket = self._ended.popleft()"
NEW = "        for _ in (1,):\n            while self._ended:\n                ticket = self._ended.pop()"
CAUGHT_BY = ["futures_end_in_order"]
