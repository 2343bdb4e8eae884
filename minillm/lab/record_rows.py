"""Records as tables: each measurement with its rates worked out, beside the ceilings of the same run.

A record keeps facts; a reader wants to know how fast that is, how far from the machine's best, and how it stands against
torch. Everything here is arithmetic on a record, and prints the same on every machine.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from minillm.errors import InvalidValue, rule_numbers_remedy
from minillm.lab.formatting import text_table
from minillm.measure.record import Measurement, Record, Untimed, records

COLUMNS = (
    "contestant", "shape", "p50 (µs)", "p20 (µs)", "p80 (µs)", "TFLOP/s", "of matmul", "TB/s", "of copy",
    "times as fast as", "best torch call", "max error", "RMS error",
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """A measurement and its fractions of the two ceilings measured in the same run, None where it has no such rate."""

    measured: Measurement
    of_matmul: float | None
    of_copy: float | None

    @property
    def length(self) -> int | None:
        """How long the texts are, for what has a sequence length: L, or S where only one token of each is new."""
        shape = self.measured.shape
        return shape.get("S") if self._is_decoding else shape.get("L")

    @property
    def _is_decoding(self) -> bool:
        return self.measured.shape.get("L", 1) == 1

    @property
    def kind(self) -> str:
        """The case in words without its length, and without a batch that follows from it: rows of one kind make one curve."""
        if not self.length:
            return case_label(self.measured)
        return case_label(self.measured, without="LS" if self._is_decoding else "BLS")

    @property
    def trillions(self) -> float:
        """10**12 FLOPs a second, or bytes where the operator multiplies nothing."""
        rate = self.measured.flops_per_s
        return (self.measured.bytes_per_s or 0.0 if rate is None else rate) / 1e12


@dataclass(frozen=True)
class Selection:
    """The rows of one operator that were asked for, what was not timed among them, and the record they are from."""

    record: Record
    operator: str
    rows: tuple[Row, ...]
    untimed: tuple[Untimed, ...]

    @property
    def unit(self) -> str:
        """What `trillions` counts."""
        return "TB/s" if all(row.measured.flops_per_s is None for row in self.rows) else "TFLOP/s"

    def ceiling(self, dtype: str) -> float | None:
        """The best this machine did in the same run, in `unit`: a copy, or a large matrix product in `dtype`."""
        if self.unit == "TB/s":
            return self.record.copy_bytes_per_s / 1e12
        best = self.record.matmul_flops_per_s.get(dtype)
        return None if best is None else best / 1e12

    def kinds(self) -> dict[str, list[Row]]:
        """Kind -> its rows, in the order of the record."""
        found: dict[str, list[Row]] = {}
        for row in self.rows:
            found.setdefault(row.kind, []).append(row)
        return found


def case_label(case: Measurement | Untimed, without: str = "") -> str:
    """ "B 4 L 4096 … bfloat16 causal": what tells two cases of one operator apart, less the letters of `without`."""
    sizes = [f"{letter} {size}" for letter, size in case.shape.items() if letter not in without]
    words = [name if value is True else str(value) for name, value in case.options.items() if value is not False]
    return " ".join([*sizes, case.dtype, *words])


def gpu_record(operator: str, among: Sequence[Record] | None = None) -> Record | None:
    """The newest record of a GPU that has this operator, of those that come along or those given; None if there is none."""
    known = [r for r in (records() if among is None else among) if r.driver and r.select(operator=operator)]
    return max(known, key=lambda record: record.date, default=None)


def select_rows(record: Record, operator: str, *, causal: bool | None = None, **shape: int) -> Selection:
    """A record -> its rows of one operator, causal or full or (None) both, where the shape has these sizes."""

    def asked(case: Measurement | Untimed) -> bool:
        masked = causal is None or bool(case.options.get("causal", False)) == causal
        return case.operator == operator and masked and all(case.shape.get(n) == size for n, size in shape.items())

    rows = (Row(m, record.fraction_of_matmul(m), record.fraction_of_copy(m)) for m in record.measurements if asked(m))
    return Selection(record, operator, tuple(rows), tuple(case for case in record.untimed if asked(case)))


def cells(row: Row) -> list[str]:
    """A row's numbers as text, in the order of COLUMNS; a dash where nothing was recorded."""
    m = row.measured
    return [
        m.backend, case_label(m), *(_shown(seconds, ".1f", 1e6) for seconds in (m.p50, m.p20, m.p80)),
        _shown(m.flops_per_s, ".3g", 1e-12), _shown(row.of_matmul, ".0%"),
        _shown(m.bytes_per_s, ".3g", 1e-12), _shown(row.of_copy, ".0%"),
        _shown(m.ratio_to_torch, ".2f"), m.best_torch or "-", _shown(m.max_error, ".1e"), _shown(m.rms_error, ".1e"),
    ]  # fmt: skip


def markdown_table(selection: Selection) -> str:
    """The rows as a Markdown table under a line on machine, versions, date and command; then what was not timed."""
    record = selection.record
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    head = f"{record.device}, driver {record.driver or 'none'}, {versions}; {record.date[:10]}, commit {record.commit[:12]}"
    rule = ["---", "---"] + ["---:"] * (len(COLUMNS) - 2)
    table = [f"| {' | '.join(line)} |" for line in (COLUMNS, rule, *map(cells, selection.rows))]
    left = [f"- {line}" for line in untimed_lines(selection.untimed)]
    return "\n".join([f"{head}; `{record.command}`", "", *table, *([""] if left else []), *left])


def untimed_lines(untimed: Iterable[Untimed]) -> list[str]:
    """One line for each contestant and reason: where it was not timed, or at how many shapes."""
    places: dict[tuple[str, str], list[str]] = {}
    for case in untimed:
        places.setdefault((case.backend, case.reason), []).append(case_label(case))
    return [
        f"{backend}, {where[0] if len(where) == 1 else f'{len(where)} shapes'}: {reason}"
        for (backend, reason), where in places.items()
    ]


def compare_records(old: Record, new: Record) -> str:
    """Two records -> a text table of what both measured: time then and now, and how many times as fast it has become.

    Raises InvalidValue when they share no case.
    """
    before = {_identity(m): m for m in old.measurements}
    shared = [(before[key], m) for m in new.measurements if (key := _identity(m)) in before]
    if not shared:
        numbers = f"{len(old.measurements)} and {len(new.measurements)} rows with nothing in common"
        raise InvalidValue(rule_numbers_remedy("records must share a case to be compared", numbers, "choose two alike"))
    rows = [
        [*_identity(m), f"{1e6 * was.p50:.1f}", f"{1e6 * m.p50:.1f}", f"{was.p50 / m.p50:.2f}"] for was, m in shared
    ]
    head = [f"{name}: {r.device}, {r.date}, commit {r.commit[:12]}" for name, r in (("then", old), ("now", new))]
    names = ["operator", "contestant", "shape", "then (µs)", "now (µs)", "times as fast"]
    return "\n".join([*head, *text_table(names, rows)])


def _identity(m: Measurement) -> tuple[str, str, str]:
    return m.operator, m.backend, case_label(m)


def _shown(value: float | None, pattern: str, scale: float = 1.0) -> str:
    return "-" if value is None else format(value * scale, pattern)
