"""An error that leaves the engine waits for all texts."""

FILE = "minillm/serving/async_engine.py"
OLD = "await self.aclose(drain=kind is None)"
NEW = "await self.aclose()"
CAUGHT_BY = ("leaving_by_an_error_aborts",)
