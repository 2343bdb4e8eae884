"""The numbers that a GPU run should reach, as plain data, and which of them a record does.

They were set for an H200. A fraction of a ceiling or a ratio to another row of the same run says something on any GPU; bytes
a second alone say it on that one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from plan import DECODE, LONE_DECODE

from minillm.measure import Measurement, Record

_SLAB, _LONE = (dict(zip("BS", size, strict=True)) | {"H": 32, "G": 8, "D": 128} for size in (DECODE, LONE_DECODE))
FRACTION, RATE = "of copy", "bytes/s"


@dataclass(frozen=True)
class Target:
    """Rows of our kernel that ought to reach `least` of a measure, and `wish` if all goes well.

    `measure` is "of copy" (its bytes a second over those of the machine's copy), "bytes/s", or the name of another
    contestant, whose time is then divided by ours; "torch" stands for the best torch call.
    """

    operator: str
    shape: Mapping[str, int]
    measure: str
    least: float
    wish: float | None = None
    options: Mapping[str, str] = field(default_factory=dict)

    def __str__(self) -> str:
        sizes = " ".join(f"{letter} {size}" for letter, size in self.shape.items())
        return f"{self.operator} {sizes}: {self.measure}"


TARGETS = (
    Target("flash_decode", _SLAB, FRACTION, 0.79, 0.91),
    Target("flash_decode", _SLAB, "torch", 1.0),
    Target("flash_decode", _LONE, RATE, 2.2e12, 3.0e12),
    Target("paged_decode", _SLAB | {"P": 256}, "triton contiguous", 0.9),
    Target("paged_decode", _SLAB | {"P": 64}, "triton contiguous", 0.9),
    Target("paged_decode", _SLAB | {"P": 16}, "triton contiguous", 0.8),
    Target("paged_prefill", {"L": 4096, "P": 64}, "triton contiguous", 0.75, 0.85),
    Target("rotary_write", {"P": 64}, FRACTION, 0.85),
)


def reached(target: Target, record: Record) -> float | None:
    """What a record has for a target, or None if it did not time the rows."""
    rows = [r for r in record.select(operator=target.operator, **target.shape) if r.options == target.options]
    ours = next((row for row in rows if row.backend == "triton"), None)
    if ours is None:
        return None
    if target.measure == FRACTION:
        return record.fraction_of_copy(ours)
    if target.measure == RATE:
        return ours.bytes_per_s
    if target.measure == "torch":
        return ours.ratio_to_torch
    other = next((row for row in rows if row.backend == target.measure), None)
    return None if other is None else _faster(other, ours)


def _faster(other: Measurement, ours: Measurement) -> float:
    return other.p50 / ours.p50


def verdicts(record: Record) -> Iterator[str]:
    """A line for each target whose rows were timed: what was reached, what was wanted."""
    for target in TARGETS:
        value = reached(target, record)
        if value is None:
            continue
        word = "missed" if value < target.least else "reached"
        if target.wish is not None and value >= target.wish:
            word = "more than reached"
        wish = "" if target.wish is None else f", {target.wish:.3g} wished for"
        yield f"{word}: {target}: {value:.3g}; {target.least:.3g} wanted{wish}"
