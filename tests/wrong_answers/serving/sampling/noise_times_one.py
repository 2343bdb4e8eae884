"""The noise is not scaled to what was kept."""

FILE = "minillm/decoding/sampling.py"
OLD = "(int(noise * 2**53) * total) >> 53"
NEW = "min(int(noise * 2**48), total - 1)"
CAUGHT_BY = ("every_kept_token_is_drawn_in_its_place_and_no_other",)
