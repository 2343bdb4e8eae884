"""After a listener's error texts are written on that nobody waits for."""

FILE = "minillm/serving/asking/engine_driver.py"
OLD = "                    self.engine.discard(name)\n                continue"
NEW = "                    pass\n                continue"
CAUGHT_BY = ("a_listener_that_raises_hangs_nobody",)
