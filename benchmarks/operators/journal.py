"""A record that grows: every case is printed and saved as it comes, so a run that dies has lost only what it had not done."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path

from minillm.measure import Measurement, Record, Untimed
from minillm.measure.hardware import Hardware
from minillm.measure.run import record_run


class Journal:
    """Rows so far, the `record` made of them (None before the first), and the `path` it was last saved to, if it was."""

    def __init__(self, ceilings: Hardware, command: str, save: Callable[[Record], Path] | None) -> None:
        self.ceilings, self.command, self.save = ceilings, command, save
        self.rows: list[Measurement] = []
        self.untimed: list[Untimed] = []
        self.record: Record | None = None
        self.path: Path | None = None

    def add(self, rows: Sequence[Measurement], untimed: Sequence[Untimed]) -> None:
        """Take one case's results down, print them, and save the record if there is something to record."""
        self.rows += rows
        self.untimed += untimed
        if self.rows:
            self.record = self._grown()
            self.path = self.save(self.record) if self.save else None
        for row in rows:
            print(row_line(row, self.record), flush=True)
        for case in untimed:
            print(f"  {case.backend:<18}{case.reason}", flush=True)

    def _grown(self) -> Record:
        if self.record is None:
            return record_run(self.rows, self.ceilings, self.command, untimed=self.untimed)
        return dataclasses.replace(self.record, measurements=tuple(self.rows), untimed=tuple(self.untimed))


def row_line(row: Measurement, record: Record) -> str:
    """A row in words: time, rates with their fraction of the two ceilings, the ratio to torch's best, how wrong it is."""
    words = [f"  {row.backend:<18}{_seconds(row.p50):>10}"]
    if row.flops_per_s is not None:
        fraction = record.fraction_of_matmul(row)
        words.append(_rate(row.flops_per_s, "FLOP/s") + (f" ({fraction:4.0%} of matmul)" if fraction else ""))
    if row.bytes_per_s is not None:
        words.append(f"{_rate(row.bytes_per_s, 'B/s')} ({record.fraction_of_copy(row):4.0%} of copy)")
    if row.ratio_to_torch is not None:
        words.append(f"{row.ratio_to_torch:5.2f}x {row.best_torch}")
    words.append(f"rms error {row.rms_error:.1e}")
    return "  ".join(words)


def _seconds(seconds: float) -> str:
    return f"{1e3 * seconds:.3f} ms" if seconds >= 1e-3 else f"{1e6 * seconds:.2f} µs"


def _rate(value: float, unit: str) -> str:
    letter, size = ("T", 1e12) if value >= 1e11 else ("G", 1e9)
    return f"{value / size:7.3g} {letter}{unit}"
