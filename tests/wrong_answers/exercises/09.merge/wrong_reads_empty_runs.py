"""Multiplies what nobody wrote by 0."""

import math

import torch

LAYER = "values"


def answer(outs, lses):
    lse = lses.logsumexp(0)
    safe = torch.where(lse == -math.inf, 0.0, lse)
    shares = (lses - safe).exp()[..., None]
    return (shares * outs).sum(0), lse
