"""An engine that was dropped without being closed keeps its thread."""

FILE = "minillm/serving/async_engine.py"
OLD = "        self._finalizer = weakref.finalize(self, self._driver.close, drain=False)\n"
NEW = ""
CAUGHT_BY = ("nobody_left_ends_the_thread",)
