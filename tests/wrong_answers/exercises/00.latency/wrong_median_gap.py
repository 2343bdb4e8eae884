"""The median hides the stutter."""

from itertools import pairwise
from statistics import median

LAYER = "values"


def answer(arrival, token_times):
    gaps = [later - sooner for sooner, later in pairwise(token_times)]
    return token_times[0] - arrival, median(gaps) if gaps else None, token_times[-1] - arrival
