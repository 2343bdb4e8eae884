"""The noise 0 draws the first token, whatever it weighs."""

FILE = "minillm/decoding/sampling.py"
OLD = "right=True"
NEW = "right=False"
CAUGHT_BY = ("the_noise_at_its_ends_draws_what_is_there",)
