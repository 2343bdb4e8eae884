"""Stop tokens take the places of those who could live."""

FILE = "minillm/decoding/beam.py"
OLD = "return self.width + len(self.stop_token_ids)"
NEW = "return self.width"
CAUGHT_BY = ("any_width_follows_the_rules",)
