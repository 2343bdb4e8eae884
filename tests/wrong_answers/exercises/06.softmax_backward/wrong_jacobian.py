"""Builds the whole Jacobian of every row."""

import torch

LAYER = "resources"


def answer(p, dp):
    jacobian = torch.diag_embed(p) - p[..., :, None] * p[..., None, :]
    return (jacobian @ dp[..., None])[..., 0]
