"""Keeps every row in a list of its text's own: forks share, nothing is mixed up, and there are no pages."""

import torch

LAYER = "resources"


class answer:
    def __init__(self, num_blocks, block_size, width):
        self.rows = {}

    def append(self, name, row):
        self.rows.setdefault(name, []).append(row.clone())

    def fork(self, name, new):
        self.rows[new] = list(self.rows[name])

    def attend(self, name, q):
        rows = torch.stack(self.rows[name])
        return (rows @ q).softmax(0) @ rows

    def finish(self, name):
        del self.rows[name]
