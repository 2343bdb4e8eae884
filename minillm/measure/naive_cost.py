"""Where the bytes of unfused attention go: one row for each step that writes its result back to memory.

The two dots are nearly free to feed; it is the table of scores, written and read again by every step between them, that
costs. Each row says what a step loads, stores and multiplies, and how many bytes are alive while it runs, in exact
agreement with what `count()` reports for the code it describes, on contiguous inputs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from minillm.errors import InvalidValue, nearest_divisors, rule_numbers_remedy
from minillm.measure.attention_cost import Bytes
from minillm.measure.numbers import require_positive


@dataclass(frozen=True)
class Step:
    """One step's bytes `loaded` and `stored`, its `flops`, and the most bytes `live` during it, inputs not included."""

    name: str
    loaded: int
    stored: int
    flops: int
    live: int


@dataclass(frozen=True)
class _Sizes:
    """Everything the steps share, in bytes of the working precision (float32, or float64) unless it says otherwise."""

    B: int
    L: int
    S: int
    H: int
    G: int
    D: int
    given: int
    width: int

    def __post_init__(self) -> None:
        require_positive(batch=self.B, query_length=self.L, key_length=self.S, num_heads=self.H)
        require_positive(num_kv_heads=self.G, head_dim=self.D, dtype_bytes=self.given)
        if self.H % self.G:
            rule = "num_heads must be a multiple of num_kv_heads"
            raise InvalidValue(
                rule_numbers_remedy(
                    rule, f"{self.H} and {self.G}", f"nearest valid: {nearest_divisors(self.H, self.G)}"
                )
            )

    @property
    def scores(self) -> int:
        return self.B * self.H * self.L * self.S * self.width

    @property
    def queries(self) -> int:
        return self.B * self.L * self.H * self.D * self.width

    @property
    def keys(self) -> int:
        """Keys, or values, as given: G heads."""
        return self.B * self.S * self.G * self.D * self.width

    @property
    def repeated_keys(self) -> int:
        """Keys, or values, once every query head has its own copy."""
        return self.keys // self.G * self.H

    @property
    def row(self) -> int:
        """One number for each query row."""
        return self.B * self.H * self.L * self.width

    @property
    def dot_flops(self) -> int:
        return 2 * self.B * self.H * self.L * self.S * self.D

    @property
    def widens(self) -> bool:
        return self.given < self.width

    @property
    def repeats(self) -> bool:
        """Flattening G groups into H heads copies, unless the single head can be seen H times through stride 0."""
        return 1 < self.G < self.H

    @property
    def query_copy(self) -> int:
        """A batched product wants (B·H, L, D) evenly spaced; from (B, L, H, D) only a copy gives that."""
        return self.queries if self.B > 1 and self.H > 1 and self.L > 1 else 0

    @property
    def key_copy(self) -> int:
        seen_through_stride_zero = self.G == 1
        return self.repeated_keys if self.B > 1 and self.H > 1 and (self.S > 1 or seen_through_stride_zero) else 0

    @property
    def key_loads(self) -> int:
        """Bytes of keys, or values, that a product reads, its copy's reading included."""
        held = self.keys if self.G == 1 else self.repeated_keys
        return held + self.key_copy if self.key_copy else held


def textbook_attention_steps(
    batch: int, query_length: int, key_length: int, num_heads: int, head_dim: int, *, masked: bool, dtype_bytes: int = 4
) -> tuple[Step, ...]:
    """B, L, S, H, D -> the steps of the attention everybody writes first, on q, k, v (B, L or S, H, D):

        scores = q.transpose(1, 2) @ k.permute(0, 2, 3, 1)
        scores = scores * scale
        scores = scores.masked_fill(hidden, -inf)              # if `masked`; hidden (L, S) bool
        out = scores.softmax(-1) @ v.transpose(1, 2)

    Every step between the dots reads and writes the whole table. Raises InvalidValue for numbers not above zero.
    """
    z = _Sizes(batch, query_length, key_length, num_heads, num_heads, head_dim, dtype_bytes, dtype_bytes)
    n, mask = z.scores, query_length * key_length
    steps = [_scores(z, held=0), Step("scale", n, n, 0, 2 * n)]
    if masked:
        steps.append(Step("mask", n + mask, n, 0, 2 * n))
    return (*steps, Step("softmax", n, n, 0, 2 * n), _mix(z, held=2 * n))


def naive_attention_steps(
    batch: int,
    query_length: int,
    key_length: int,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    *,
    causal: bool = False,
    window: bool = False,
    softcap: bool = False,
    dtype_bytes: int = 4,
) -> tuple[Step, ...]:
    """B, L, S, H, G, D -> the steps of `minillm.attention.naive`, the oracle, without sinks.

    It widens 16-bit inputs, repeats shared heads, and spells the softmax out (maximum, subtract, exponential, sum,
    divide) so that no row gives NaN: five readings of the table and three writings where a fused softmax has one each.
    """
    B, L, S, H, G, D = batch, query_length, key_length, num_heads, num_kv_heads, head_dim
    z = _Sizes(B, L, S, H, G, D, dtype_bytes, max(4, dtype_bytes))
    n = z.scores
    widened_queries = z.queries * z.widens
    keys, keys_held = _shared(z, "keys", held=widened_queries)
    held = widened_queries + keys_held
    steps = [_widen("widen queries", z.queries, z, held=0), *keys, _scores(z, held)]
    steps.append(Step("scale", n, n, 0, held + 2 * n))
    if softcap:
        steps.append(Step("softcap", 3 * n, 3 * n, 0, held + 3 * n))
    if causal or window:
        steps.append(_mask(z, causal, window, held))
    steps.append(_softmax(z))
    values, values_held = _shared(z, "values", held=n + z.row)
    steps += [*values, _mix(z, held=n + z.row + values_held)]
    if z.widens:
        narrow = z.queries // z.width * z.given
        steps.append(Step("round", z.queries, narrow, 0, n + z.row + values_held + z.queries + narrow))
    return tuple(step for step in steps if step.stored)


def attention_bytes(*args: int, **options: bool | int) -> Bytes:
    """The arguments of `naive_attention_steps` -> the bytes of all its steps, as `count()` reports them."""
    steps = naive_attention_steps(*args, **options)  # type: ignore[arg-type]
    return Bytes(sum(step.loaded for step in steps), sum(step.stored for step in steps))


def peak_bytes(steps: Sequence[Step]) -> int:
    """Steps -> the most bytes alive at once, inputs not included."""
    return max(step.live for step in steps)


def _widen(name: str, size: int, z: _Sizes, held: int) -> Step:
    """A copy of `size` bytes in the working precision, of something narrower; nothing at all if it is wide enough."""
    return Step(name, size // z.width * z.given * z.widens, size * z.widens, 0, (held + size) * z.widens)


def _shared(z: _Sizes, name: str, held: int) -> tuple[list[Step], int]:
    """The steps that give every query head its keys (or values), and the bytes they leave alive."""
    widened = z.keys * z.widens
    steps = [_widen(f"widen {name}", z.keys, z, held)]
    if not z.repeats:
        return steps, widened
    steps.append(Step(f"repeat {name}", z.keys, z.repeated_keys, 0, held + widened + z.repeated_keys))
    return steps, z.repeated_keys


def _scores(z: _Sizes, held: int) -> Step:
    copies = z.query_copy + z.key_copy
    loaded = z.queries + z.query_copy + z.key_loads
    return Step("q · k", loaded, copies + z.scores, z.dot_flops, held + copies + z.scores)


def _mix(z: _Sizes, held: int) -> Step:
    stored = z.key_copy + z.queries
    return Step("p · v", z.scores + z.key_loads, stored, z.dot_flops, held + stored)


def _mask(z: _Sizes, causal: bool, window: bool, held: int) -> Step:
    """Positions as int64, one byte a pair for each comparison, and the table read and written once."""
    L, S, pairs = z.L, z.S, z.L * z.S
    loaded, stored = 16 * L, 24 * L + 8 * S + pairs
    live = [16 * L, 8 * L + 8 * S + 3 * pairs, pairs + z.scores]
    for _ in range(causal + window):
        loaded += 8 * L + 8 * S + 2 * pairs
        stored += 2 * pairs
    if window:
        loaded, stored = loaded + 8 * L, stored + 8 * L
        live.append(16 * L + 8 * S + 2 * pairs)
    loaded, stored = loaded + 2 * pairs + z.scores, stored + pairs + z.scores
    return Step("mask", loaded, stored, 0, held + z.scores + max(live))


def _softmax(z: _Sizes) -> Step:
    """Maximum, subtract, exponential, sum, divide over the table; the guards against empty rows touch one row each."""
    n, row, flags = z.scores, z.row, z.row // z.width
    return Step("softmax", 5 * n + 10 * row + 3 * flags, 3 * n + 7 * row + 2 * flags, 0, 3 * n + 4 * row + flags)
