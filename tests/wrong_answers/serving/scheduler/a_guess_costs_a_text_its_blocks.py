"""A text loses its blocks for another's guesses."""

FILE = "minillm/serving/schedule/step.py"
OLD = "while drafts and table.blocks_needed(count + drafts) > self.pool.num_free:"
NEW = "while False:"
CAUGHT_BY = ("a_guess_costs_nobody_a_block",)
