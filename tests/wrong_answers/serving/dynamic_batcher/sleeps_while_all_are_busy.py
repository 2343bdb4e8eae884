"""Nobody notices a timeout while all are busy."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "            return self._line.next_deadline()\n"
NEW = "            return None\n"
CAUGHT_BY = ["time_runs_out_in_the_queue_though_everybody_is_busy", "time_runs_out_while_the_model_is_busy"]
