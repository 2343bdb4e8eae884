"""Equal sums go by the later beam."""

FILE = "minillm/decoding/beam.py"
OLD = "return sorted(grown, key=lambda one: -one[0])"
NEW = "return sorted(reversed(grown), key=lambda one: -one[0])"
CAUGHT_BY = ("equal_sums_go_by_beam_and_then_by_id",)
