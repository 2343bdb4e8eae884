"""From the gaps between neighbours."""

from itertools import pairwise


def answer(arrival, token_times):
    gaps = [later - sooner for sooner, later in pairwise(token_times)]
    tpot = sum(gaps) / len(gaps) if gaps else None
    return token_times[0] - arrival, tpot, token_times[-1] - arrival
