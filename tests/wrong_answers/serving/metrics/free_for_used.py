"""The free share for the used one."""

FILE = "minillm/serving/metrics.py"
OLD = "self.cache_usage.set(1 - step.num_free_blocks / self.num_blocks)"
NEW = "self.cache_usage.set(step.num_free_blocks / self.num_blocks)"
CAUGHT_BY = ("gauges_show_the_last_step",)
