"""Guesses come back in the order of the rules."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "return [tokens[row] for row in range(len(choices))]"
NEW = "return list(tokens.values())"
CAUGHT_BY = ("each_row_is_guessed_by_its_own_rule",)
