"""The timeout starts when somebody first asks for a batch, not when the request comes."""

FILE = "minillm/serving/dynamic_batcher.py"
OLD = "shape, now, None if timeout is None else now + timeout)"
NEW = "shape, now, None if timeout is None else now + timeout + self.config.max_queue_delay_microseconds)"
CAUGHT_BY = ["time_runs_out_in_the_queue_though_everybody_is_busy", "an_own_timeout_only_shortens"]
