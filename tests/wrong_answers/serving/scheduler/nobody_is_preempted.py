"""When blocks run out, the pool's error goes through everybody."""

FILE = "minillm/serving/schedule/step.py"
OLD = "while table.blocks_needed(count) > self.pool.num_free:"
NEW = "while False:"
CAUGHT_BY = (
    "the_newest_gives_its_blocks_back",
    "random_days",
)
