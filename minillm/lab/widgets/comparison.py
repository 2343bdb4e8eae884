"""A finished comparison: its rows, its table in three formats, and what it says in words.

The long text has every number; the lasting one leaves out what another machine or another run would print differently
(times, ceilings, the digits of an error), so it can be stored in a notebook and compared.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from minillm.lab import figures
from minillm.lab.widgets.contest import HERE, NOT_TIMED, Entry
from minillm.lab.widgets.machines import shape_text
from minillm.measure.cost import roofline_time
from minillm.measure.hardware import Hardware

TABLE_COLUMNS = (
    "operator", "shape", "dtype", "causal", "contestant", "where", "verdict", "max_error", "rms_error", "bytes_loaded",
    "bytes_stored", "bytes_moved", "flops", "flops_per_byte", "no_faster_than_s", "p20_s", "p50_s", "p80_s", "note",
)  # fmt: skip


@dataclass(frozen=True)
class Comparison:
    """Contestants at one shape (`entries`) and what the chosen machine recorded (`recorded`), with its ceilings.

    `causal` is None where it means nothing. `least_bytes` is each operand once, `useful_flops` what nobody can avoid;
    `tolerance` is (relative, absolute).
    """

    operator: str
    shape: Mapping[str, int]
    dtype: str
    causal: bool | None
    machine: str
    ceilings: Hardware
    entries: tuple[Entry, ...]
    recorded: tuple[Entry, ...]
    recorded_note: str
    least_bytes: int
    useful_flops: int
    tolerance: tuple[float, float]

    @property
    def rows(self) -> tuple[Entry, ...]:
        """Every row: contestants here, then recorded ones."""
        return self.entries + self.recorded

    @property
    def heading(self) -> str:
        """What was compared: operator, shape, dtype and mask."""
        sight = "" if self.causal is None else ", causal" if self.causal else ", not causal"
        return f"{self.operator}, {shape_text(self.shape)}, {self.dtype}{sight}"

    def moved(self, entry: Entry) -> int | None:
        """Bytes loaded and stored together, counted or recorded."""
        if entry.bytes_loaded is None or entry.bytes_stored is None:
            return entry.bytes_moved
        return entry.bytes_loaded + entry.bytes_stored

    def work(self, entry: Entry) -> int | None:
        """FLOPs of its dots, or, for an operator without dots (softmax), the arithmetic on paper."""
        paper = self.useful_flops if entry.where == HERE else entry.paper_flops
        return entry.flops or (paper if self.moved(entry) else None)

    def intensity(self, entry: Entry) -> float | None:
        """FLOPs a byte, or None."""
        moved, work = self.moved(entry), self.work(entry)
        return work / moved if moved and work else None

    def rate(self) -> float | None:
        """FLOP/s of the machine's matrix products in this dtype, or None if nobody measured or printed it."""
        return self.ceilings.matmul_flops_per_s.get(self.dtype)

    def limit(self, entry: Entry) -> float | None:
        """Seconds below which no kernel that moves and multiplies this much can finish on the machine."""
        moved = self.moved(entry)
        if moved is None or entry.verdict == "failed":
            return None
        rate = self.rate()
        flops = entry.flops or 0
        return roofline_time(moved, flops if rate else 0, self.ceilings.bandwidth_bytes_per_s, rate or 1.0)

    def above_roof(self) -> list[str]:
        """Names of those timed faster than the ceilings allow: what fits a cache never asks the memory."""
        limits = [(entry.name, entry.p50, self.limit(entry)) for entry in self.entries]
        return [name for name, time, limit in limits if time and limit and time < limit]

    def table(self) -> list[dict[str, Any]]:
        """One dictionary a row with the keys of `TABLE_COLUMNS`: raw numbers in bytes, FLOPs and seconds, None if unknown."""
        shared = (self.operator, shape_text(self.shape), self.dtype, self.causal)
        return [dict(zip(TABLE_COLUMNS, (*shared, *self._cells(entry)), strict=True)) for entry in self.rows]

    def _cells(self, e: Entry) -> tuple[Any, ...]:
        counts = (e.bytes_loaded, e.bytes_stored, self.moved(e), e.flops)
        derived = (self.intensity(e), self.limit(e))
        return (e.name, e.where, e.verdict, e.max_error, e.rms_error, *counts, *derived, e.p20, e.p50, e.p80, e.note)

    def to_csv(self) -> str:
        """The table as CSV with a header line; unknown cells are empty."""
        buffer = io.StringIO()
        writer = csv.DictWriter(buffer, TABLE_COLUMNS, lineterminator="\n")
        writer.writeheader()
        writer.writerows(self.table())
        return buffer.getvalue()

    def to_markdown(self) -> str:
        """The table as Markdown, rounded for reading, under a line that says what and on which machine."""
        names, rows = self.readable()
        names, rows = [*names, "note"], [[*row, e.note] for row, e in zip(rows, self.rows, strict=True)]
        lines = [names, ["---", *["---:"] * (len(names) - 2), "---"], *rows]
        body = [
            "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines
        ]
        return "\n".join([f"**{self.heading}**; ceilings: {self.ceilings}", "", *body]) + "\n"

    def readable(self, *, lasting: bool = False) -> tuple[list[str], list[list[str]]]:
        """(names, rows) of the table for eyes; `lasting` leaves out what differs between machines and runs."""
        names = ["contestant", "verdict"]
        names += [] if lasting else ["max error", "relative RMS"]
        names += ["loaded", "stored", "FLOPs", "FLOPs a byte"]
        names += [] if lasting else ["no faster than", "time (median)"]
        return names, [self._readable_row(entry, lasting) for entry in (self.entries if lasting else self.rows)]

    def _readable_row(self, e: Entry, lasting: bool) -> list[str]:
        errors = [] if lasting else [_error(e.max_error), _error(e.rms_error)]
        moved = [_known(e.bytes_loaded, figures.format_bytes), _known(e.bytes_stored, figures.format_bytes)]
        if e.bytes_loaded is None and e.bytes_moved is not None:
            moved = [figures.format_bytes(e.bytes_moved), "(both)"]
        counts = [*moved, _known(e.flops, figures.format_count), _known(self.intensity(e), _intensity)]
        times = [] if lasting else [_known(self.limit(e), seconds_text), _known(e.p50, seconds_text)]
        return [e.name, e.verdict, *errors, *counts, *times]


def describe(data: Comparison) -> str:
    """The table with every number, then the remarks."""
    return "\n".join([data.heading, *figures.text_table(*data.readable()), *remarks(data)])


def remarks(data: Comparison) -> list[str]:
    """What a row needs said, what "right" means, the yardsticks, and whose ceilings and times these are."""
    relative, absolute = data.tolerance
    lines = [
        *_notes((e.name, e.note) for e in data.rows),
        f"right means within {relative:g} relative and {absolute:g} absolute of float64, everywhere",
        _yardsticks(data),
        f"ceilings: {data.ceilings}",
    ]
    lines += [data.recorded_note] if data.recorded_note else []
    if data.above_roof():
        lines.append(f"above the roof: {', '.join(data.above_roof())}; a shape this small is served by the caches")
    return lines


def describe_lasting(data: Comparison) -> str:
    """The same without times, ceilings and error digits: equal on every machine and every run."""
    notes = _notes((e.name, _lasting_note(e)) for e in data.entries)
    table = figures.text_table(*data.readable(lasting=True))
    return "\n".join([data.heading, *table, *notes, _yardsticks(data), figures.EXACT_COUNTS])


def _lasting_note(entry: Entry) -> str:
    if entry.note.startswith(NOT_TIMED):
        return ""
    return f"first bad index {entry.first_bad}" if entry.first_bad else entry.note


def _notes(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """One line for each different note, after the names of those it is about."""
    about: dict[str, list[str]] = {}
    for name, note in pairs:
        about.setdefault(note, []).append(name)
    return [f"{', '.join(names)}: {note}" for note, names in about.items() if note]


def _yardsticks(data: Comparison) -> str:
    paper = "operations" if data.operator == "softmax" else "FLOPs"
    bytes_text, flops_text = figures.format_bytes(data.least_bytes), figures.format_count(data.useful_flops)
    return f"on paper: {bytes_text} if everything is moved once, {flops_text} useful {paper}"


def _known(value: Any, spell: Any) -> str:
    return "-" if value is None else spell(value)


def _intensity(value: float) -> str:
    return f"{value:.3g}" if value < 1000 else figures.format_count(round(value))


def _error(value: float | None) -> str:
    return "-" if value is None else "0" if value == 0 else f"{value:.1e}"


def seconds_text(seconds: float) -> str:
    """Three digits with a unit people say: 12.3 µs."""
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds / 1e-9:.3g} ns"
