"""An interrupted step is never closed."""

FILE = "minillm/serving/engine.py"
OLD = "                self.scheduler.update(output, {})\n            raise"
NEW = "                pass\n            raise"
CAUGHT_BY = ("an_interruption_leaves_an_engine_that_works",)
