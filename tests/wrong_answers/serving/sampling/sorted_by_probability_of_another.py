"""The kept mask is not put back in order of id."""

FILE = "minillm/decoding/support.py"
OLD = "torch.zeros_like(is_possible).scatter_(-1, order, keep) & is_possible"
NEW = "keep & is_possible"
CAUGHT_BY = ("every_kept_token_is_drawn_in_its_place_and_no_other",)
