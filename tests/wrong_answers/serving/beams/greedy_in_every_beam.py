"""Each beam takes its own best token: nothing is compared across beams."""

FILE = "minillm/decoding/beam.py"
OLD = "    return sorted(grown, key=lambda one: -one[0])"
NEW = "    return grown"
CAUGHT_BY = ("any_width_follows_the_rules", "a_step_says_whom_to_copy")
