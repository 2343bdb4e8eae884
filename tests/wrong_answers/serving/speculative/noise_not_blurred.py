"""The noise is taken as it is, whatever the blur."""

FILE = "minillm/decoding/speculative.py"
OLD = "(2 * blur * (u * (1 - u)).sqrt()).clamp(min=blur / 100)"
NEW = "torch.full_like(u, 1e-9)"
CAUGHT_BY = ("blurred_guesses_lie_between_the_draw_and_the_best", "similar_targets_draw_the_blurred_guess_more_often")
