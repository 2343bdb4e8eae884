"""Who comes just as a step ends misses the next one."""

FILE = "minillm/serving/simulate.py"
OLD = "[-1].arrival_time <= self.now"
NEW = "[-1].arrival_time < self.now"
CAUGHT_BY = ("who_comes_as_a_step_ends_is_in_the_next",)
