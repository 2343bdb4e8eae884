"""Every row is drawn with the first noise."""

FILE = "minillm/decoding/sampling.py"
OLD = "for noise, total in zip(noises, totals, strict=True)"
NEW = "for noise, total in zip(noises[:1] * len(totals), totals, strict=True)"
CAUGHT_BY = (
    "every_kept_token_is_drawn_in_its_place_and_no_other",
    "a_row_is_chosen_alone_as_in_company",
    "draws_have_the_probabilities",
)
