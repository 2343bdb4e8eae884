"""A stream that was closed is written on."""

FILE = "minillm/serving/llm.py"
OLD = "            (self.engine.discard_later if later else self.engine.discard)(request_id)"
NEW = "            self.engine.discard_later(request_id) if later else None"
CAUGHT_BY = ("dropped_streams_are_aborted",)
