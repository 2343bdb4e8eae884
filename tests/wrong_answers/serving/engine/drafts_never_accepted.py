"""Right guesses are thrown away: the texts are right, and the work is done twice."""

FILE = "minillm/serving/compute/worker.py"
OLD = "kept = accept_same_noise(ids, tokens[row : row + len(ids) + 1]) if ids"
NEW = "kept = [tokens[row]] if ids"
CAUGHT_BY = ("right_guesses_save_steps",)
