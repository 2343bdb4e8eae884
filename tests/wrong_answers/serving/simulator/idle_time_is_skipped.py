"""The clock stands still while nobody is there."""

FILE = "minillm/serving/simulate.py"
OLD = "            self.now = self._arriving[-1].arrival_time\n"
NEW = "            pass\n"
CAUGHT_BY = ("idle_time_passes_at_once",)
