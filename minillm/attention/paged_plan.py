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
    text has not, and `blank` are those parts of the buffer, to be made zeros first: hidden or not, NaN would spread.
    """

    block_ids: Tensor
    buffer: PageBuffer
    keys: Tensor
    values: Tensor
    bias: Tensor | None
    blank: list[Tensor]


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
        block_ids = _tensor(np.array(blocks, dtype=np.int64), pages.k.device)
        if text.length > 1 or len(blocks) * pages.page_bytes > TILE_BYTES:
            return Alone(text, block_ids, start)
        buffer = scratch.buffer(pages, len(blocks), dtype)
        keys, values = buffer.by_head(1)
        return Together(block_ids, buffer, keys.narrow(2, start, count), values.narrow(2, start, count), None, [])


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
        # How wide each group's rows of its buffer are: up to the last key of the longest text in it, and in pages.
        self.high = np.maximum.reduceat(self.stop, ends - sizes)
        self.width = -(-self.high // block_size)
        self.spans = list(zip((ends - sizes).tolist(), ends.tolist(), strict=True))
        self.texts, self.device = texts, pages.k.device

    def pieces(self) -> list[Together]:
        """One Together a group, in the order given."""
        bias, made, stops, cut = self._bias(), [], self.stop.tolist(), self.start > 0
        rows = zip(self.spans, self.width.tolist(), self.high.tolist(), self._block_ids(), strict=True)
        for (begin, end), width, high, block_ids in rows:
            n = end - begin
            buffer = self.scratch.buffer(self.pages, n * width, self.dtype)
            keys, values = (x.narrow(2, 0, high) for x in buffer.by_head(n))
            blank = self._blank(buffer, width * self.P, high, stops[begin:end])
            hides = len(blank) > 0 or cut[begin:end].any()
            hidden = bias.narrow(0, begin, n).narrow(3, 0, high) if hides else None
            made.append(Together(block_ids, buffer, keys, values, hidden, blank))
        return made

    def _block_ids(self) -> Sequence[Tensor]:
        """(n · width,) for each group: each text's blocks, its last one again where others have more."""
        ids: list[int] = []
        widths = np.repeat(self.width, [end - begin for begin, end in self.spans]).tolist()
        for text, first, width in zip(self.texts, self.first_page.tolist(), widths, strict=True):
            blocks = text.block_ids[first : -(-text.keys // self.P)]
            ids += blocks
            ids += [blocks[-1]] * (width - len(blocks))
        counts = [(end - begin) * width for (begin, end), width in zip(self.spans, self.width.tolist(), strict=True)]
        return _tensor(np.array(ids, dtype=np.int64), self.device).split(counts)

    def _bias(self) -> Tensor:
        """(n, 1, 1, most slots): 0 for the slots a text's query sees, −inf for the others."""
        slots = np.arange(self.high.max())
        hidden = (slots < self.start[:, None]) | (slots >= self.stop[:, None])
        bias = np.where(hidden, np.float32(-math.inf), np.float32(0))
        return _tensor(bias, self.device).to(self.dtype)[:, None, None]

    @staticmethod
    def _blank(buffer: PageBuffer, width: int, high: int, stops: list[int]) -> list[Tensor]:
        """Views of the buffer's slots that lie beyond a text's end and before the longest's; a text has `width` slots."""
        rows = [(row * width + stop, high - stop) for row, stop in enumerate(stops) if stop < high]
        return [half.narrow(0, start, count) for start, count in rows for half in buffer.slots]


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
    rows = np.array(order, dtype=np.int64)
    return _tensor(rows, device), _tensor(rows.argsort(), device)


def _tensor(values: np.ndarray, device: torch.device) -> Tensor:
    found = torch.from_numpy(values)
    return found if device.type == "cpu" else found.to(device)
