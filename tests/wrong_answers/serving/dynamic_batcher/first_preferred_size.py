"""The smallest preferred size is taken, not the longest."""

FILE = "minillm/serving/batching/send_rule.py"
OLD = "        if rows in preferred:\n            best = count + 1"
NEW = "        if rows in preferred and not best:\n            best = count + 1"
CAUGHT_BY = ["the_longest_preferred_size_goes_at_once"]
