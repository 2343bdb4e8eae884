"""The target's own token is not counted."""

FILE = "minillm/decoding/speculative.py"
OLD = "for i in range(k + 1))\n"
NEW = "for i in range(1, k + 1))\n"
CAUGHT_BY = ("expected_tokens_are_those_of_a_simulation", "the_price_is_counted")
