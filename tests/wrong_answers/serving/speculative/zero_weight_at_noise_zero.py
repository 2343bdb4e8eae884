"""At noise 0 the first token is drawn, weight or none."""

FILE = "minillm/decoding/speculative.py"
OLD = "noise * cumulative[-1], right=True"
NEW = "noise * cumulative[-1], right=False"
CAUGHT_BY = ("the_ends_of_the_noise_draw_only_what_has_weight",)
