"""What one pass over a paged cache will do, worked out before its first layer and used again by every other.

Which blocks to fetch, which texts to attend to together, what to mask: all that depends on the texts' lengths and tables and
on nothing that a layer computes. Texts of one query each (decoding) are sorted by length and put together while their
pages fit a small buffer, so short texts share a call and long ones waste none of it on padding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

# The keys of texts that are attended to in one call. Twice as much, or half, was slower for 32 texts of 17 to 900 tokens.
GROUP_BYTES = 2**19


class Text(NamedTuple):
    """One text of a pass: `length` new queries from packed row `row` on, `keys` keys with theirs, and its blocks in order."""

    row: int
    length: int
    keys: int
    block_ids: Sequence[int]


class Piece(NamedTuple):
    """Texts attended to by one call: one text of any number of queries, or several of one query each.

    Fetched pages hold `start` to `stop` of what the piece needs; several texts are as wide as their longest, and `seen`
    (n, 1, 1, stop) hides the rest, which `blank` (slots of the buffer) makes zeros first: hidden or not, NaN spreads.
    """

    texts: tuple[Text, ...]
    block_ids: Tensor  # (n · pages,)
    start: int
    stop: int
    slot: int | None = None  # where the blocks begin, if they lie in a row and are read in place
    seen: Tensor | None = None
    blank: Tensor | None = None


class Layout(NamedTuple):
    """The pieces of a pass; packed rows are taken in `order` (T,) and put back by `inverse`, unless it is as they lie."""

    pieces: tuple[Piece, ...]
    rows: list[int]  # queries of each piece
    order: Tensor | None
    inverse: Tensor | None


class PagedPlan:
    """The texts of one pass and the layouts made for them so far, one for each window that the model's layers have."""

    def __init__(self, texts: Sequence[Text], block_size: int, device: torch.device):
        self.texts = [text for text in texts if text.length]
        self.block_size, self.device = block_size, device
        self._layouts: dict[tuple[int | None, int, bool], Layout] = {}

    def layout(self, window: int | None, page_bytes: int, can_be_viewed: bool) -> Layout:
        """The calls to make where a query sees `window` keys, a page of keys has `page_bytes`, and pages may be viewed."""
        key = window, page_bytes, can_be_viewed
        if key not in self._layouts:
            most = max(1, GROUP_BYTES // page_bytes)
            pieces = [self._piece(group, window, can_be_viewed) for group in self._groups(window, most)]
            order = [row for piece in pieces for t in piece.texts for row in range(t.row, t.row + t.length)]
            rows = [sum(t.length for t in piece.texts) for piece in pieces]
            if order == list(range(len(order))):
                self._layouts[key] = Layout(tuple(pieces), rows, None, None)
            else:
                there = torch.tensor(order, device=self.device)
                self._layouts[key] = Layout(tuple(pieces), rows, there, there.argsort())
        return self._layouts[key]

    def pages(self, text: Text, window: int | None) -> range:
        """Which of a text's blocks hold keys that any of its queries sees."""
        return range(first_key(text, window) // self.block_size, -(-text.keys // self.block_size))

    def _groups(self, window: int | None, most: int) -> Iterator[tuple[Text, ...]]:
        """Single texts where there are many queries, then groups of one query each, at most `most` pages together."""
        yield from ((text,) for text in self.texts if text.length > 1)
        group: list[Text] = []
        for text in sorted((t for t in self.texts if t.length == 1), key=lambda t: t.keys):
            # Sorted by length, so the newcomer is the widest.
            if group and (len(group) + 1) * len(self.pages(text, window)) > most:
                yield tuple(group)
                group = []
            group.append(text)
        if group:
            yield tuple(group)

    def _piece(self, texts: tuple[Text, ...], window: int | None, can_be_viewed: bool) -> Piece:
        if len(texts) > 1:
            return self._together(texts, window)
        (text,), P = texts, self.block_size
        pages = self.pages(text, window)
        block_ids = [text.block_ids[i] for i in pages]
        start, stop = first_key(text, window) - pages.start * P, text.keys - pages.start * P
        in_a_row = can_be_viewed and block_ids == list(range(block_ids[0], block_ids[0] + len(block_ids)))
        slot = block_ids[0] * P if in_a_row else None
        return Piece(texts, torch.tensor(block_ids, device=self.device), start, stop, slot)

    def _together(self, texts: tuple[Text, ...], window: int | None) -> Piece:
        """Several texts, one query each: pages side by side, short texts filled up with a page of their own."""
        P, ranges = self.block_size, [self.pages(text, window) for text in texts]
        most = max(map(len, ranges))
        block_ids = [
            text.block_ids[i] for text, pages in zip(texts, ranges, strict=True)
            for i in (*pages, *[pages[-1]] * (most - len(pages)))
        ]  # fmt: skip
        spans = [
            (first_key(text, window) - pages.start * P, text.keys - pages.start * P)
            for text, pages in zip(texts, ranges, strict=True)
        ]
        stop = max(last for _, last in spans)
        blank = [n * most * P + i for n, (_, last) in enumerate(spans) for i in range(last, stop)]
        if not blank and not any(first for first, _ in spans):
            return Piece(texts, torch.tensor(block_ids, device=self.device), 0, stop)
        first, last = torch.tensor(spans, device=self.device).unsqueeze(-1).unbind(1)  # (n, 1)
        slots = torch.arange(stop, device=self.device)
        seen = ((slots >= first) & (slots < last))[:, None, None]
        blanks = torch.tensor(blank, device=self.device) if blank else None
        return Piece(texts, torch.tensor(block_ids, device=self.device), 0, stop, None, seen, blanks)


def first_key(text: Text, window: int | None) -> int:
    """The earliest key that the text's first new query sees."""
    return 0 if window is None else max(0, text.keys - text.length - window + 1)
