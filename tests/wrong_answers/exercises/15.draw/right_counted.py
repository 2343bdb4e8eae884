"""Counts the running sums that do not exceed the mark; gives a tensor."""

import torch


def answer(probabilities, noises):
    running = probabilities.double().cumsum(-1)
    marks = torch.tensor(noises, dtype=torch.float64).unsqueeze(-1) * running[:, -1:]
    return (running <= marks).sum(-1)
