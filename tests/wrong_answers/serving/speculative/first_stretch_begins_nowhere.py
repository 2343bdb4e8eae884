"""The first token's stretch begins at its end."""

FILE = "minillm/decoding/speculative.py"
OLD = "prepend=(-u / scale).sigmoid()"
NEW = "prepend=ends[:, :1]"
CAUGHT_BY = ("blurred_guesses_lie_between_the_draw_and_the_best",)
