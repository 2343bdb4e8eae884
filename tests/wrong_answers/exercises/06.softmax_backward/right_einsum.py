"""The sum as a dot of two rows."""

import torch


def answer(p, dp):
    delta = torch.einsum("...s,...s->...", p, dp)
    return p * (dp - delta[..., None])
