"""Hides the tail behind a score of -10,000, and clears its rows."""

import torch

LAYER = "values"


class answer:
    def __init__(self, num_blocks, block_size, width):
        self.pages = torch.zeros(num_blocks, block_size, width)
        self.free, self.texts = set(range(num_blocks)), {}

    def readers(self, page):
        return sum(page in ids for ids, _ in self.texts.values())

    def append(self, name, row):
        ids, length = self.texts.setdefault(name, ([], 0))
        page, offset = divmod(length, self.pages.shape[1])
        if page == len(ids):
            ids.append(self.free.pop())
        elif self.readers(ids[page]) > 1:
            copy = self.free.pop()
            self.pages[copy, :offset] = self.pages[ids[page], :offset]
            ids[page] = copy
        self.pages[ids[page], offset] = row
        self.texts[name] = ids, length + 1

    def fork(self, name, new):
        ids, length = self.texts[name]
        self.texts[new] = ids.copy(), length

    def attend(self, name, q):
        ids, length = self.texts[name]
        rows = self.pages[ids].flatten(0, 1)
        hidden = torch.arange(len(rows)) >= length
        rows = rows.masked_fill(hidden[:, None], 0.0)
        return (rows @ q).masked_fill(hidden, -1e4).softmax(0) @ rows

    def finish(self, name):
        ids, _ = self.texts.pop(name)
        self.free |= {page for page in ids if not self.readers(page)}
