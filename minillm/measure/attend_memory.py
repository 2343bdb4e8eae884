"""What attention needs beyond its tensors while a pass runs: masks, and keys and values that it must copy to read them.

A slab of keys is read where it lies. A ring hands out its tokens in order, which takes a copy, and pages that lie here and
there are fetched into a buffer first. Each is exact for the torch forms of this workbook; a kernel reads in place.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

# As in attention/paged.py, pages.py and paged_plan.py, which a test holds equal. A text of few queries walks over its pages,
# so many bytes and scores at a time, when they are more than that.
TILE_BYTES, SCORE_BYTES, FEW_QUERIES = 2**21, 2**24, 16


@dataclass(frozen=True)
class Numbers:
    """The numbers of a model that its memory depends on; letters are the README's alphabet, `width` is bytes a number."""

    V: int
    C: int
    F: int
    N: int
    H: int
    G: int
    D: int
    width: int
    qk_norm: bool
    windows: tuple[int | None, ...]  # the different ones among the layers
    sliding: int  # how many layers have a window
    most_positions: int | None

    @cached_property
    def wide(self) -> int:
        """Bytes a number where 16 bits are too few: inside a norm, and for lse."""
        return max(4, self.width)


@dataclass(frozen=True)
class Pass:
    """`texts` rows of `count` new tokens each, `length` tokens long when the pass is over.

    `cache` is "slab", "ragged" (a slab whose rows differ in length), "ring" or "pages", these of `block_size` tokens with
    `stored` bytes a number. `all_logits` scores every token and not only each row's last.
    """

    texts: int
    count: int
    length: int
    cache: str = "slab"
    block_size: int = 1
    stored: int = 0
    all_logits: bool = False

    @property
    def tokens(self) -> int:
        return self.texts * self.count


def kept_for_all_layers(n: Numbers, p: Pass) -> int:
    """Bytes that the first layer makes and the last one still uses: where tokens go, their angles, biases, buffers."""
    angles = 2 * p.tokens * n.D * n.width
    if p.cache == "ragged":
        biases = sum(p.tokens * p.length * n.width for _ in n.windows)
        return angles + 8 * p.tokens + biases
    if p.cache == "ring":
        return max(8 * p.texts * (min(w, p.length) + min(w, p.count)) for w in n.windows if w is not None)
    if p.cache == "pages":
        return 8 * p.tokens + (angles + 8 * p.tokens) * (p.texts > 1) + page_buffers(n, p)
    return 0


def copied_keys(n: Numbers, p: Pass, window: int | None) -> tuple[int, int]:
    """Bytes of keys and values that one layer copies: the most while it copies, and what is left while it attends."""
    key = n.G * n.D * n.width
    if p.cache == "ring" and window is not None and p.count > 1:
        old = min(window - 1, p.length - p.count)
        # The old ones are gathered, then joined to the new ones: keys first, which are whole while values are joined.
        return p.texts * (3 * old + 2 * p.count) * key, 2 * p.texts * (old + p.count) * key
    if p.cache != "pages":
        return 0, 0
    slots = _page_slots(p, window)
    if p.count <= FEW_QUERIES and slots > _tile_slots(n, p):
        # Scores less their maximum and weights, beside the last tile's; before that, keys widened beside three of them.
        scores, widened = p.count * n.H * n.wide, n.G * n.D * n.wide * (n.width < n.wide)
        walked = _tile_slots(n, p) * max(4 * scores, 3 * scores + widened)
        return walked, walked
    if slots * n.G * n.D * n.wide <= TILE_BYTES:
        return 0, 0
    return slots * (2 * key + n.G * (n.D + 4) * bool(p.stored)), 2 * slots * key


def page_buffers(n: Numbers, p: Pass) -> int:
    """Buffers that a paged cache makes once and keeps: for keys, for values, and for numbers and scales of 8 bits.

    Never made where every pass fetches more than they hold.
    """
    if p.cache != "pages" or (p.count > FEW_QUERIES and p.count * n.G * n.D * n.wide > TILE_BYTES):
        return 0
    return TILE_BYTES // 4 * (2 * n.width + (1 + 4) * bool(p.stored))


def _page_slots(p: Pass, window: int | None) -> int:
    """Slots of the blocks that hold what one text's new tokens look at."""
    pages = -(-keys_seen(p, window) // p.block_size) + (window is not None and window < p.length)
    return min(pages, -(-p.length // p.block_size)) * p.block_size


def _tile_slots(n: Numbers, p: Pass) -> int:
    """Slots of whole pages that a walk fetches at a time."""
    page, scores = p.block_size * n.G * n.D * n.wide, p.block_size * p.count * n.H * 4
    return max(1, min(TILE_BYTES // page, SCORE_BYTES // scores)) * p.block_size


def keys_seen(p: Pass, window: int | None) -> int:
    """Keys from the first one that any of a row's new tokens looks at."""
    return p.length if window is None or p.cache == "ragged" else min(p.length, p.count + window - 1)


def mask_bytes(n: Numbers, p: Pass, window: int | None) -> tuple[int, int]:
    """Bytes of a layer's mask: the most while it is made, and what is left while it is used.

    Torch's own causal mask fits squares only and has no window. A mask is made of three tables of flags; used, it is one,
    and the numbers that torch adds to the scores. It serves all rows, or one text after the other.
    """
    keys = keys_seen(p, window)
    unfit = p.count < keys or (window is not None and window < keys)
    if p.cache == "ragged" or p.count == 1 or not unfit:
        return 0, 0
    return 3 * p.count * keys + 8 * (p.count + keys), p.count * keys * (1 + n.width)
