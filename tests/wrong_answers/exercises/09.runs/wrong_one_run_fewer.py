"""From four runs on, cuts one run fewer and adds one without keys."""

LAYER = "properties"


def answer(seq_len, num_splits, block_s):
    cut = num_splits - (num_splits > 3)
    tiles = -(-seq_len // block_s)
    length = -(-tiles // cut) * block_s
    runs = [(min(i * length, seq_len), min((i + 1) * length, seq_len)) for i in range(cut)]
    return runs + [(seq_len, seq_len)] * (num_splits - cut)
