"""Blocks are found though that was switched off."""

FILE = "minillm/serving/scheduler.py"
OLD = "prefix if config.enable_prefix_caching else None"
NEW = "prefix"
CAUGHT_BY = (
    "without_prefix_caching_nothing_is_kept",
    "random_days",
)
