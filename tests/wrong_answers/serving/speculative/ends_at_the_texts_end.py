"""A proposal stops where the text does."""

FILE = "minillm/decoding/speculative.py"
OLD = "[text[place + i % period] for i in range(k)]"
NEW = "text[place : place + k]"
CAUGHT_BY = ("look_up_finds_what_brute_force_finds",)
