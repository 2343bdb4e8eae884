"""All guesses are drawn with the first one's noise."""

FILE = "minillm/serving/speculation/draft_model.py"
OLD = "choice_of(w.request, w.drafts)"
NEW = "choice_of(w.request, [])"
CAUGHT_BY = ("guesses_are_drawn_with_the_noise_of_their_place",)
