"""What a decoder holds in memory while it reads tokens: the tensors alive at each of a pass's high points.

A pass makes thousands of tensors and drops most of them at once, so its memory is not their sum but the largest of a few
moments: when queries and keys are turned, when a layer attends, when the feed-forward network is at its widest, when the
vocabulary is scored. Each moment below lists what is alive in it, and the tests hold the largest to what was allocated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

# A table of rotary angles starts at this many positions and doubles when a text outgrows it.
LEAST_ANGLES = 256


@dataclass(frozen=True)
class Moment:
    """One high point of a pass, in bytes: `activations`, what the layers compute, and `workspace`, what helps them to."""

    name: str
    activations: int
    workspace: int

    @property
    def total(self) -> int:
        return self.activations + self.workspace


@dataclass(frozen=True)
class Numbers:
    """The numbers of a model that its memory depends on; letters are the README's alphabet, `widths` are bytes a number."""

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
    most_positions: int | None

    @cached_property
    def wide(self) -> int:
        """Bytes a number where 16 bits are too few: inside a norm, and for lse."""
        return max(4, self.width)


@dataclass(frozen=True)
class Pass:
    """`texts` rows of `count` new tokens, of `length` tokens each when the pass is over; `ragged` if rows differ in length.

    `gathered` are the bytes of keys and values that attention copies before it can read them, all_logits scores every
    token and not only each row's last.
    """

    texts: int
    count: int
    length: int
    ragged: bool = False
    all_logits: bool = False
    gathered: int = 0

    @property
    def tokens(self) -> int:
        return self.texts * self.count


def moments(n: Numbers, p: Pass) -> Iterator[Moment]:
    """A model's numbers and a pass -> its high points, in the order in which a layer comes to them.

    x (…, C) is alive throughout: a layer's input. Its norm stays alive while attention or the feed-forward network runs.
    """
    x, q, k = (p.tokens * row * n.width for row in (n.C, n.H * n.D, n.G * n.D))
    feed, qkv, qk = p.tokens * n.F * n.width, q + 2 * k, q + k
    angles = rotary_bytes(n, p.length)
    held = angles + _held(n, p)
    yield Moment("angles", 0, _angles_made(n, p))
    yield Moment("norm", 2 * x + _norm(n, p, 1, n.C), held)
    yield Moment("rotate", 2 * x + qkv + _turned(n, p, q, k), held)
    yield Moment("mask", 2 * x + qkv + qk, held + max(_mask_made(n, p, w) for w in n.windows))
    lse = p.tokens * n.H * n.wide
    yield Moment("attend", 2 * x + qkv + qk + q, held + p.gathered + lse + max(_mask(n, p, w) for w in n.windows))
    yield Moment("project", 2 * x + qkv + qk + q + x, held)
    # Gate and up, then silu(gate), then their product; the layer's own input is kept by the loop over the layers.
    yield Moment("feed forward", 3 * x + 4 * feed, held)
    yield Moment("down", 3 * x + 3 * feed + x, held)
    scored = p.tokens if p.all_logits else p.texts
    yield Moment("logits", x + scored * n.V * n.width, angles)


def rotary_bytes(n: Numbers, length: int) -> int:
    """The cosines and sines that a text of `length` tokens needs, as the decoder keeps them: powers of two, or all positions."""
    return 2 * _angle_rows(n, length) * n.D * n.width


def _angle_rows(n: Numbers, length: int) -> int:
    rows = max(LEAST_ANGLES, 1 << (length - 1).bit_length())
    return min(rows, n.most_positions or rows)


def _angles_made(n: Numbers, p: Pass) -> int:
    """While the table is made, in float32: angles, sines and negative sines for half of D, both results for all of it.

    A text that is read in parts has outgrown a smaller table, which is alive until the new one is there.
    """
    rows = _angle_rows(n, p.length)
    outgrown = 1 << (rows - 1).bit_length() - 1 if p.count < p.length and rows > LEAST_ANGLES else 0
    return rows * (7 * n.D // 2 + 1) * 4 + 2 * outgrown * n.D * n.width


def _norm(n: Numbers, p: Pass, heads: int, width: int) -> int:
    """A norm at its widest: its input's square and a product, widened if of 16 bits, and two numbers a row."""
    return 2 * p.tokens * heads * (width + 1) * n.wide


def _turned(n: Numbers, p: Pass, q: int, k: int) -> int:
    """Turning: x · cos, x with its halves exchanged, and the sum. Where heads are normed, q's come first, then k's."""
    if not n.qk_norm:
        return 3 * (q + k)
    return max(4 * q, _norm(n, p, n.H, n.D), q + 4 * k, q + _norm(n, p, n.G, n.D))


def _held(n: Numbers, p: Pass) -> int:
    """What rows of different lengths keep for all layers: positions, their angles, and a bias for each kind of layer."""
    if not p.ragged:
        return 0
    biases = sum(p.tokens * _keys_seen(p, window) * n.width for window in n.windows)
    return p.tokens * (2 * n.D * n.width + 8) + biases


def _keys_seen(p: Pass, window: int | None) -> int:
    """Keys from the first one that any of a row's new tokens looks at."""
    return p.length if window is None or p.ragged else min(p.length, p.count + window - 1)


def _masked(p: Pass, window: int | None) -> bool:
    """Whether torch's call needs a mask for rows of one length: its own causal mask fits squares only, and has no window."""
    keys = _keys_seen(p, window)
    return not p.ragged and p.count > 1 and (p.count < keys or (window is not None and window < keys))


def _mask(n: Numbers, p: Pass, window: int | None) -> int:
    """The mask as flags, and as the numbers that torch adds to the scores."""
    return p.count * _keys_seen(p, window) * (1 + n.width) if _masked(p, window) else 0


def _mask_made(n: Numbers, p: Pass, window: int | None) -> int:
    """Three tables of flags while one is made from two, and the positions they come from."""
    keys = _keys_seen(p, window)
    return 3 * p.count * keys + 8 * (p.count + keys) if _masked(p, window) else 0
