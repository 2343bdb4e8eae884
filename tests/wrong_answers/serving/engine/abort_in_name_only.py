"""An aborted text is forgotten, and still computed."""

FILE = "minillm/serving/engine.py"
OLD = '                self.scheduler.finish(name, "abort")\n            self.metrics'
NEW = "                pass\n            self.metrics"
CAUGHT_BY = ("aborts_are_exact",)
