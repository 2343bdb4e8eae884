"""What a decoder holds in memory while it reads tokens: the tensors alive at each of a pass's high points.

A pass makes thousands of tensors and drops most of them at once, so its memory is not their sum but the largest of a few
moments: when queries and keys are turned, when a layer attends, when the feed-forward network is at its widest, when the
vocabulary is scored. Each moment below lists what is alive in it, and the tests hold the largest to what was allocated.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from minillm.measure.attend_memory import Numbers, Pass, copied_keys, kept_for_all_layers, mask_bytes, page_buffers

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


def moments(n: Numbers, p: Pass) -> Iterator[Moment]:
    """A model's numbers and a pass -> its high points, in the order in which a layer comes to them.

    x (…, C) is alive throughout: a layer's input. Its norm stays alive while attention or the feed-forward network runs.
    """
    x, q, k = (p.tokens * row * n.width for row in (n.C, n.H * n.D, n.G * n.D))
    feed, qkv, qk = p.tokens * n.F * n.width, q + 2 * k, q + k
    angles = rotary_bytes(n, p.length)
    held = angles + kept_for_all_layers(n, p)
    yield Moment("angles", 0, _angles_made(n, p))
    yield Moment("norm", 2 * x + _norm(n, p, 1, n.C), held)
    yield Moment("rotate", 2 * x + qkv + _turned(n, p, q, k), held)
    preparing, attending = _attention_workspace(n, p)
    yield Moment("prepare", 2 * x + qkv + qk, held + preparing)
    yield Moment("attend", 2 * x + qkv + qk + q, held + attending)
    # Pages are attended to text by text, and what comes out is joined.
    joined = q if p.cache == "pages" and p.texts > 1 else 0
    yield Moment("project", 2 * x + qkv + qk + q + max(x, joined), held)
    # Gate and up, then silu(gate), then their product; the layer's own input is kept by the loop over the layers.
    yield Moment("feed forward", 3 * x + 4 * feed, held)
    yield Moment("down", 3 * x + 3 * feed + x, held)
    scored = p.tokens if p.all_logits else p.texts
    yield Moment("logits", x + scored * n.V * n.width, angles)


def _attention_workspace(n: Numbers, p: Pass) -> tuple[int, int]:
    """Masks and copies, the most of any layer: while they are made, and while attention uses them and writes its lse."""
    alone = p.cache == "pages" and p.count > 1
    lse = p.tokens * n.H * n.wide // (p.texts if alone else 1)
    making, using = [], []
    for window in n.windows:
        (mask_made, mask), (keys_made, keys) = mask_bytes(n, p, window), copied_keys(n, p, window)
        making.append(max(keys_made, keys + mask_made))
        using.append(keys + mask + lse)
    return max(making), max(using)


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
    return rows * (7 * n.D // 2 + 1) * 4 + 2 * outgrown * n.D * n.width + page_buffers(n, p) * bool(outgrown)


def _norm(n: Numbers, p: Pass, heads: int, width: int) -> int:
    """A norm at its widest: its input's square and a product, widened if of 16 bits, and two numbers a row."""
    return 2 * p.tokens * heads * (width + 1) * n.wide


def _turned(n: Numbers, p: Pass, q: int, k: int) -> int:
    """Turning: x · cos, x with its halves exchanged, and the sum. Where heads are normed, q's come first, then k's."""
    if not n.qk_norm:
        return 3 * (q + k)
    return max(4 * q, _norm(n, p, n.H, n.D), q + 4 * k, q + _norm(n, p, n.G, n.D))
