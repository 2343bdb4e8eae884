"""All rows are guessed by one row's rule."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "rows_by_rule.setdefault(rule if is_plain and blur else None, [])"
NEW = "rows_by_rule.setdefault(Rule.of(choices[0].params) if is_plain and blur else None, [])"
CAUGHT_BY = ("each_row_is_guessed_by_its_own_rule",)
