"""More hypotheses than the width."""

FILE = "minillm/decoding/beam.py"
OLD = "key=lambda hypothesis: -hypothesis.score)[: rules.width]"
NEW = "key=lambda hypothesis: -hypothesis.score)"
CAUGHT_BY = ("any_width_follows_the_rules",)
