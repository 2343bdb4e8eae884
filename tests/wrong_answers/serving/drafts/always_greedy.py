"""Guesses are the best tokens, also where the target draws."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "        if choice_of is None:"
NEW = "        if choice_of is None or True:"
CAUGHT_BY = ("guesses_are_drawn_with_the_noise_of_their_place",)
