"""A stream ends when its request has, whatever was not taken yet."""

FILE = "minillm/serving/llm.py"
OLD = "        while not self._chunks:\n            if self._answer.is_finished and"
NEW = "        while not self._chunks or self._answer.is_finished:\n            if self._answer.is_finished or"
CAUGHT_BY = ("streams_are_written_along",)
