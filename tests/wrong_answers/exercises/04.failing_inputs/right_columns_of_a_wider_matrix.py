"""Rows of three, and the left half of a matrix."""

import torch


def answer():
    left = torch.tensor([[5.0, 1, 2, 3], [7, 1, 4, 9]])[:, :2]
    return torch.eye(3), -1 - torch.eye(3), left
