"""Finished texts count against the width."""

FILE = "minillm/decoding/beam.py"
OLD = "        if len(live) == rules.width:\n            break\n"
NEW = "        if len(live) + len(finished) == rules.width:\n            break\n"
CAUGHT_BY = ("any_width_follows_the_rules",)
