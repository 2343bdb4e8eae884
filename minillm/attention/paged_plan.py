"""What one pass over a paged cache will do, worked out before its first layer and used again by every other.

Which blocks to fetch, which texts to attend to together, what to mask: all that depends on the texts' lengths and tables and
on nothing that a layer computes. Texts of one query each (decoding) are sorted by length and put together while their
pages fit a small buffer, so short texts share a call and long ones waste none of it on padding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from minillm.attention.pages import TILE_BYTES, PageBuffer, Pages, Scratch

# The keys of texts that are attended to in one call. Twice as much, or half, was slower for 32 texts of 17 to 900 tokens.
GROUP_BYTES = 2**19


class Text(NamedTuple):
    """One text of a pass: `length` new queries from packed row `row` on, and `keys` keys with theirs, in blocks in order."""

    row: int
    length: int
    keys: int
    block_ids: Sequence[int]


class InPlace(NamedTuple):
    """One text whose blocks lie in a row: `count` keys from `slot` on, read where they are."""

    text: Text
    slot: int
    num_keys: int


class Together(NamedTuple):
    """One text of one query or several, all their pages in one buffer.

    keys, values (n, G, S, D) are the buffer seen head by head, as wide as the longest text. `bias` (n, 1, 1, S) hides what a
    text has not, and `blank` says which of the buffer's slots to make zeros first: hidden or not, NaN would spread.
    """

    block_ids: Tensor
    buffer: PageBuffer
    keys: Tensor
    values: Tensor
    bias: Tensor | None
    blank: Tensor | None


class Alone(NamedTuple):
    """One text that is fetched by itself, for it has many queries or many keys; `start` is its first key's slot."""

    text: Text
    block_ids: Tensor
    start: int


Piece = InPlace | Together | Alone


class Layout(NamedTuple):
    """The calls of a pass, with the number of queries of each. Packed rows are taken in `order` (T,), unless it is theirs,
    and put back by `inverse`."""

    pieces: list[Piece]
    rows: list[int]
    order: Tensor | None
    inverse: Tensor | None


class PagedPlan:
    """B texts with `counts` queries, packed in this order, `lengths` keys, and the blocks that hold these.

    Layouts are made when a layer first asks, one for each window that the model's layers have. Pages, dtype and scratch
    are the same for all layers of a pass.
    """

    def __init__(
        self, counts: Sequence[int], lengths: Sequence[int], block_ids: Sequence[Sequence[int]], block_size: int
    ):
        self.block_size, self.texts, row = block_size, [], 0
        for count, length, ids in zip(counts, lengths, block_ids, strict=True):
            if count:
                self.texts.append(Text(row, count, length, ids))
            row += count
        self._layouts: dict[int | None, Layout] = {}

    def layout(self, window: int | None, pages: Pages, dtype: torch.dtype, scratch: Scratch) -> Layout:
        """The calls to make where a query sees `window` keys."""
        if window not in self._layouts and len(self.texts) == 1:
            text = self.texts[0]
            self._layouts[window] = Layout([self._one(text, window, pages, dtype, scratch)], [text.length], None, None)
        if window not in self._layouts:
            groups = list(self._groups(window, max(1, GROUP_BYTES // pages.page_bytes)))
            pieces: list[Piece] = [self._one(g[0], window, pages, dtype, scratch) for g in groups if len(g) == 1]
            many = [group for group in groups if len(group) > 1]
            if many:
                pieces += _GroupMaker(many, self.block_size, window, pages, dtype, scratch).pieces()
            groups = [group for group in groups if len(group) == 1] + many
            rows = [sum(text.length for text in group) for group in groups]
            self._layouts[window] = Layout(pieces, rows, *_order(groups, pages.k.device))
        return self._layouts[window]

    def blocks(self, text: Text, window: int | None) -> Sequence[int]:
        """The blocks, in order, that hold keys which any of the text's queries sees."""
        return text.block_ids[first_key(text, window) // self.block_size : -(-text.keys // self.block_size)]

    def _groups(self, window: int | None, most: int) -> Iterator[list[Text]]:
        """Single texts where there are many queries, then groups of one query each, at most `most` pages together."""
        yield from ([text] for text in self.texts if text.length > 1)
        group: list[Text] = []
        for text in sorted((t for t in self.texts if t.length == 1), key=lambda t: t.keys):
            # Sorted by length, so the newcomer is the widest; a window may lie across one page more.
            width = -(-min(text.keys, window or text.keys) // self.block_size) + (window is not None)
            if group and (len(group) + 1) * width > most:
                yield group
                group = []
            group.append(text)
        if group:
            yield group

    def _one(self, text: Text, window: int | None, pages: Pages, dtype: torch.dtype, scratch: Scratch) -> Piece:
        first = first_key(text, window)
        first_page, start = divmod(first, self.block_size)
        blocks, count = text.block_ids[first_page : -(-text.keys // self.block_size)], text.keys - first
        if pages.by_head is not None and lie_in_a_row(blocks):
            return InPlace(text, blocks[0] * self.block_size + start, count)
        block_ids = torch.tensor(blocks, device=pages.k.device)
        if text.length > 1 or len(blocks) * pages.page_bytes > TILE_BYTES:
            return Alone(text, block_ids, start)
        buffer = scratch.buffer(pages, len(blocks), dtype)
        keys, values = buffer.by_head(1)
        return Together(block_ids, buffer, keys.narrow(2, start, count), values.narrow(2, start, count), None, None)


class _GroupMaker:
    """Groups of several texts of one query each -> a Together each; numbers are worked out for all texts at once."""

    def __init__(
        self,
        groups: list[list[Text]],
        block_size: int,
        window: int | None,
        pages: Pages,
        dtype: torch.dtype,
        scratch: Scratch,
    ):
        self.groups, self.P, self.pages, self.dtype, self.scratch = groups, block_size, pages, dtype, scratch
        texts = [text for group in groups for text in group]
        first = np.array([first_key(text, window) for text in texts])
        self.first_page = first // block_size
        self.start, self.stop = first % block_size, np.array([t.keys for t in texts]) - self.first_page * block_size
        sizes = np.array([len(group) for group in groups])
        ends = np.cumsum(sizes)
        # How wide each text's row of its buffer is: in pages, and up to the last key of the longest in its group.
        widest = np.maximum.reduceat(self.stop, ends - sizes)
        self.widths, self.spans = (
            -(-widest // block_size),
            list(zip((ends - sizes).tolist(), ends.tolist(), strict=True)),
        )
        self.width, self.high = np.repeat(self.widths, sizes), np.repeat(widest, sizes)
        self.row = np.arange(len(texts)) - np.repeat(ends - sizes, sizes)  # of each text in its own buffer
        self.texts, self.device = texts, pages.k.device

    def pieces(self) -> list[Together]:
        """One Together a group, in the order given."""
        block_ids, bias, blanks = self._block_ids(), self._bias(), self._blanks()
        made, cut = [], self.start > 0
        for (begin, end), width, blank in zip(self.spans, self.widths.tolist(), blanks, strict=True):
            n, high = end - begin, self.high[begin].item()
            buffer = self.scratch.buffer(self.pages, n * width, self.dtype)
            keys, values = (x.narrow(2, 0, high) for x in buffer.by_head(n))
            hides = len(blank) > 0 or cut[begin:end].any()
            hidden = bias.narrow(0, begin, n).narrow(3, 0, high) if hides else None
            ids = block_ids.narrow(0, begin, n).narrow(1, 0, width).reshape(-1)
            made.append(Together(ids, buffer, keys, values, hidden, blank if len(blank) else None))
        return made

    def _block_ids(self) -> Tensor:
        """(n, most pages): each text's blocks, its last one again where others have more."""
        table = np.empty((len(self.texts), self.widths.max()), dtype=np.int64)
        for row, text, first in zip(table, self.texts, self.first_page.tolist(), strict=True):
            blocks = text.block_ids[first : -(-text.keys // self.P)]
            row[: len(blocks)] = blocks
            row[len(blocks) :] = blocks[-1]
        return torch.from_numpy(table).to(self.device)

    def _bias(self) -> Tensor:
        """(n, 1, 1, most slots): 0 for the slots a text's query sees, −inf for the others."""
        slots = np.arange(self.stop.max())
        hidden = (slots < self.start[:, None]) | (slots >= self.stop[:, None])
        bias = torch.zeros(hidden.shape, dtype=self.dtype, device=self.device)
        return bias.masked_fill_(torch.from_numpy(hidden).to(self.device), -math.inf)[:, None, None]

    def _blanks(self) -> Sequence[Tensor]:
        """The slots of each group's buffer that lie beyond a text's end and before the longest's."""
        counts = self.high - self.stop
        begins = self.row * self.width * self.P + self.stop
        ends = np.cumsum(counts)
        slots = np.arange(ends[-1]) + np.repeat(begins - ends + counts, counts)
        return torch.from_numpy(slots).to(self.device).split([int(counts[a:b].sum()) for a, b in self.spans])


def first_key(text: Text, window: int | None) -> int:
    """The earliest key that the text's first new query sees."""
    return 0 if window is None else max(0, text.keys - text.length - window + 1)


def lie_in_a_row(blocks: Sequence[int]) -> bool:
    """Whether each block is the one behind the last."""
    first, count = blocks[0], len(blocks)
    return blocks[-1] - first == count - 1 and list(blocks) == list(range(first, first + count))


def _order(groups: list[list[Text]], device: torch.device) -> tuple[Tensor | None, Tensor | None]:
    """Packed rows group by group (T,), and the way back; nothing where that is how they lie."""
    order = [row for group in groups for t in group for row in range(t.row, t.row + t.length)]
    if order == sorted(order):
        return None, None
    rows = torch.tensor(order, device=device)
    return rows, rows.argsort()
