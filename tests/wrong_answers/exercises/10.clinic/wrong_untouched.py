"""The patient as it came."""

import torch

LAYER = "values"


class answer:
    def __init__(self, num_blocks, block_size, width):
        self.pages = torch.zeros(num_blocks, block_size, width)
        self.free, self.texts = list(range(num_blocks)), {}

    def append(self, name, row):
        ids, length = self.texts.get(name, ([], 0))
        offset = length % self.pages.shape[1]
        if offset == 0:
            ids.append(self.free.pop())
        self.pages[ids[-1], offset] = row
        self.texts[name] = ids, length + 1

    def fork(self, name, new):
        ids, length = self.texts[name]
        self.texts[new] = list(ids), length

    def attend(self, name, q):
        rows = self.pages[self.texts[name][0]].flatten(0, 1)
        return (rows @ q).softmax(0) @ rows

    def finish(self, name):
        self.free += self.texts.pop(name)[0]
