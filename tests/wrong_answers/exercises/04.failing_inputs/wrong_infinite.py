"""Not finite: nothing is right then."""

import torch

LAYER = "contract"


def answer():
    x = torch.full((3, 50), float("-inf"))
    return torch.ones(3, 50), x, torch.randn(8, 64)[::2]
