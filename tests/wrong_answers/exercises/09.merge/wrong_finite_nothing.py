"""Lets -10,000 stand for the lse of nothing."""

import math

import torch

LAYER = "values"


def answer(outs, lses):
    shares = lses.clamp(min=-1e4).softmax(0)
    outs = torch.where((lses == -math.inf)[..., None], 0.0, outs)
    return (shares[..., None] * outs).sum(0), lses.logsumexp(0)
