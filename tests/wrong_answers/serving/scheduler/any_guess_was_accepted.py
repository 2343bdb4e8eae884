"""Tokens are taken for accepted guesses that were never made."""

FILE = "minillm/serving/schedule/output.py"
OLD = "if list(tokens[:-1]) != drafts[: len(tokens) - 1]:"
NEW = "if False:"
CAUGHT_BY = ("accepted_guesses_are_those_that_were_made",)
