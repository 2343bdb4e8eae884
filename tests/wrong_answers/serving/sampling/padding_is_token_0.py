"""Short rows are filled up with token 0, and it counts."""

FILE = "minillm/decoding/support.py"
OLD = "torch.arange(K, device=rows.device) < counts[:, None]"
NEW = "torch.arange(K, device=rows.device) < K + 0 * counts[:, None]"
CAUGHT_BY = ("a_row_is_chosen_alone_as_in_company",)
