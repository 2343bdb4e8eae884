"""The machines a kernel can be held against: this one, any that left a record, and any with a datasheet.

Each gives two ceilings, bytes a second and FLOP/s, and says where they are from. Only a record adds times of its own; a
datasheet never does, and this machine's are measured when asked for.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache, partial

from minillm.lab.widgets.contest import NOT_TIMED, RECORDED, Entry
from minillm.lab.widgets.operators import Operator, Shape
from minillm.measure import Measurement, Record, Untimed
from minillm.measure.hardware import KNOWN_HARDWARE, Hardware
from minillm.measure.record import records

THIS_MACHINE = "this machine"
CEILING_SECONDS = 0.05
ON_PAPER = "a record's bytes are each operand once and its FLOPs the useful ones, on paper"


@dataclass(frozen=True)
class Machine:
    """A name in the list, its ceilings for a dtype, and its record if that is what it is known by."""

    name: str
    ceilings: Callable[[str], Hardware]
    record: Record | None = None


def machines() -> Mapping[str, Machine]:
    """Name -> Machine: this one first, then records by device and date, then datasheets."""
    found = [Machine(THIS_MACHINE, measured_here)]
    found += [Machine(record_name(record), partial(_of_record, record), record) for record in records()]
    found += [Machine(f"datasheet: {name}", partial(_as_printed, name)) for name in KNOWN_HARDWARE]
    return {machine.name: machine for machine in found}


def record_name(record: Record) -> str:
    """Device, date and what was measured: what tells one record from another."""
    return f"{record.device}, {record.date[:10]}: {', '.join(sorted({m.operator for m in record.measurements}))}"


@cache
def measured_here(dtype: str) -> Hardware:
    """This machine's copy and matmul, measured once in a process for each dtype; takes a second or two."""
    from minillm.measure.hardware import measure_this_machine

    return measure_this_machine(dtypes=(dtype,), min_seconds=CEILING_SECONDS)


def _of_record(record: Record, _dtype: str) -> Hardware:
    source = f"measured in the same run, {record.date[:10]}"
    return Hardware(record.device, None, record.copy_bytes_per_s, dict(record.matmul_flops_per_s), source)


def _as_printed(name: str, _dtype: str) -> Hardware:
    return KNOWN_HARDWARE[name]


@dataclass(frozen=True)
class Recorded:
    """What a record says of an operator: rows of one shape, or a sentence why there are none."""

    entries: tuple[Entry, ...]
    note: str


def recorded(record: Record | None, operator: Operator, shape: Shape, dtype: str, causal: bool) -> Recorded:
    """Record, operator, shape, dtype -> its rows at that very shape, or at the largest it measured, which the note names."""
    if record is None:
        return Recorded((), "")
    known = (*record.measurements, *record.untimed)
    of_operator = [m for m in known if m.operator in operator.records]
    alike = [m for m in of_operator if m.dtype == dtype and (not operator.causal or _causal(m) == causal)]
    if not alike:
        return Recorded((), _why_none(record, of_operator, dtype, causal if operator.causal else None))
    at_shape = [m for m in alike if dict(m.shape) == dict(shape)]
    largest = max(alike, key=lambda m: math.prod(m.shape.values()))
    chosen = at_shape or [m for m in alike if dict(m.shape) == dict(largest.shape)]
    place = f"{record.device}, {record.date[:10]}"
    which = "this shape" if at_shape else "not at this shape; the largest it has is"
    note = f"recorded on {place}, {which} {shape_text(chosen[0].shape)}"
    paper = operator.useful_flops(chosen[0].shape, causal)
    return Recorded(tuple(_entry(m, place, paper) for m in chosen), f"{note}; {ON_PAPER}")


def _causal(measurement: Measurement | Untimed) -> bool:
    return bool(measurement.options.get("causal", False))


def _entry(m: Measurement | Untimed, place: str, paper_flops: int) -> Entry:
    if isinstance(m, Untimed):
        return Entry(m.backend, place, RECORDED, note=f"{NOT_TIMED}{m.reason}")
    ratio = "" if m.ratio_to_torch is None else f"{m.ratio_to_torch:.2f} times as fast as {m.best_torch}"
    return Entry(
        m.backend, place, RECORDED, max_error=m.max_error, rms_error=m.rms_error, bytes_moved=m.bytes_moved,
        flops=m.flops, paper_flops=paper_flops, p20=m.p20, p50=m.p50, p80=m.p80, note=ratio,
    )  # fmt: skip


def _why_none(record: Record, of_operator: list[Measurement | Untimed], dtype: str, causal: bool | None) -> str:
    place = f"{record.device}, {record.date[:10]}"
    if not of_operator:
        return f"{place} has no record of this operator; only its ceilings are drawn"
    kinds = sorted(
        {f"{m.dtype}{'' if causal is None else ', causal' if _causal(m) else ', full'}" for m in of_operator}
    )
    wanted = f"{dtype}{'' if causal is None else ', causal' if causal else ', full'}"
    return f"{place} recorded this operator, but not {wanted}; it has {'; '.join(kinds)}"


def shape_text(shape: Shape) -> str:
    """A shape as a sentence has it: B = 1, L = 128."""
    return ", ".join(f"{letter} = {size}" for letter, size in shape.items())
