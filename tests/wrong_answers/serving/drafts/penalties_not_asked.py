"""Guesses do not know what is banned or penalised."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "is_plain = not (rule.is_greedy or choice.banned or has_penalties(choice.params))"
NEW = "is_plain = not rule.is_greedy"
CAUGHT_BY = ("each_row_is_guessed_by_its_own_rule",)
