"""A record: what was measured, on which machine, by which command, so that a number can be believed a year later.

Lessons draw records instead of promises: a laptop shows a real GPU's curve and says whose it is. A record holds facts
only; rates and fractions are worked out from them, so a file cannot contradict itself.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

from minillm.errors import FileProblem, InvalidValue, rule_numbers_remedy
from minillm.measure.record_rules import (
    require_date,
    require_fields,
    require_kind,
    require_number,
    require_table,
    require_text,
)

SCHEMA = 1
UNITS = {"bandwidth": "B/s", "bytes": "B", "error": "largest absolute difference", "rate": "FLOP/s", "time": "s"}


@dataclass(frozen=True)
class Measurement:
    """One operator on one backend at one shape: p20, p50, p80 in seconds, and what it moved and multiplied.

    `shape` maps the workbook's letters to sizes. `ratio_to_torch` is the time of `best_torch`, the best torch call of the
    same run, over this one's: above 1 is faster than torch. `max_error` is the largest absolute difference from float64,
    `rms_error` the root mean square of the differences over that of the float64 values: a relative error.
    Raises InvalidValue naming the field that breaks its rule.
    """

    operator: str
    backend: str
    dtype: str
    shape: Mapping[str, int]
    p20: float
    p50: float
    p80: float
    runs: int
    bytes_moved: int | None = None
    flops: int | None = None
    best_torch: str | None = None
    ratio_to_torch: float | None = None
    max_error: float | None = None
    rms_error: float | None = None
    options: Mapping[str, bool | int | float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require_case(self)
        require_text("best_torch", self.best_torch, optional=True)
        for name in ("p20", "p50", "p80", "runs"):
            require_number(name, getattr(self, name))
        for name in ("bytes_moved", "flops", "ratio_to_torch"):
            require_number(name, getattr(self, name), optional=True)
        for name in ("max_error", "rms_error"):
            require_number(name, getattr(self, name), optional=True, zero=True)
        if not self.p20 <= self.p50 <= self.p80:
            numbers = f"{self.p20}, {self.p50}, {self.p80}"
            raise InvalidValue(rule_numbers_remedy("percentiles must rise, p20 <= p50 <= p80", numbers, "sort them"))
        if (self.ratio_to_torch is None) != (self.best_torch is None):
            raise InvalidValue("best_torch and ratio_to_torch go together: a ratio names what it is a ratio to.")

    @property
    def bytes_per_s(self) -> float | None:
        """Achieved bytes/s at the median, or None if the bytes were not recorded."""
        return None if self.bytes_moved is None else self.bytes_moved / self.p50

    @property
    def flops_per_s(self) -> float | None:
        """Achieved FLOP/s at the median, or None if the FLOPs were not recorded."""
        return None if self.flops is None else self.flops / self.p50


@dataclass(frozen=True)
class Untimed:
    """An operator, backend and shape that the run came to and did not time, and the reason: no number stands in for it.

    Raises InvalidValue naming the field that breaks its rule.
    """

    operator: str
    backend: str
    dtype: str
    shape: Mapping[str, int]
    reason: str
    options: Mapping[str, bool | int | float | str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _require_case(self)
        require_text("reason", self.reason)


def _require_case(case: Measurement | Untimed) -> None:
    for name in ("operator", "backend", "dtype"):
        require_text(name, getattr(case, name))
    require_table("shape", case.shape)
    for letter, size in case.shape.items():
        require_number(f"shape[{letter!r}]", size)
    require_table("options", case.options, empty=True)


@dataclass(frozen=True)
class Record:
    """One run on one machine: what it is, what it can do at best (measured in the same run), and the measurements.

    `copy_bytes_per_s` counts both directions of a device copy; `matmul_flops_per_s` is a large matrix product by dtype.
    `untimed` says what was left out, and why. `date` is ISO 8601 with its offset, `commit` a git hash. No host names and
    no paths: InvalidValue refuses the latter.
    """

    device: str
    driver: str | None
    versions: Mapping[str, str]
    commit: str
    date: str
    command: str
    copy_bytes_per_s: float
    matmul_flops_per_s: Mapping[str, float]
    measurements: tuple[Measurement, ...]
    system: str | None = None
    untimed: tuple[Untimed, ...] = ()

    def __post_init__(self) -> None:
        for name in ("device", "commit", "date", "command"):
            require_text(name, getattr(self, name))
        for name in ("driver", "system"):
            require_text(name, getattr(self, name), optional=True)
        require_table("versions", self.versions)
        for name, version in self.versions.items():
            require_text(f"versions[{name!r}]", version)
        if not re.fullmatch(r"[0-9a-f]{7,40}(-dirty)?", self.commit):
            raise InvalidValue(
                rule_numbers_remedy("commit must be a git hash", repr(self.commit), "git rev-parse HEAD")
            )
        require_date(self.date)
        require_number("copy_bytes_per_s", self.copy_bytes_per_s)
        require_table("matmul_flops_per_s", self.matmul_flops_per_s)
        for dtype, rate in self.matmul_flops_per_s.items():
            require_number(f"matmul_flops_per_s[{dtype!r}]", rate)
        if not self.measurements:
            raise InvalidValue("measurements must not be empty: a record without a number records nothing.")
        require_kind("measurements", self.measurements, Measurement)
        require_kind("untimed", self.untimed, Untimed)

    def fraction_of_copy(self, measurement: Measurement) -> float | None:
        """Achieved bytes/s over the copy measured in the same run, or None."""
        achieved = measurement.bytes_per_s
        return None if achieved is None else achieved / self.copy_bytes_per_s

    def fraction_of_matmul(self, measurement: Measurement) -> float | None:
        """Achieved FLOP/s over the large matrix product of the same run and dtype, or None."""
        achieved, best = measurement.flops_per_s, self.matmul_flops_per_s.get(measurement.dtype)
        return None if achieved is None or best is None else achieved / best

    def select(self, *, operator: str | None = None, backend: str | None = None, **shape: int) -> list[Measurement]:
        """Measurements of an operator and backend whose shape has these sizes, in the order recorded."""
        return [
            m
            for m in self.measurements
            if operator in (None, m.operator)
            and backend in (None, m.backend)
            and all(m.shape.get(letter) == size for letter, size in shape.items())
        ]


def save_record(record: Record, path: str | Path) -> None:
    """Write a record as sorted, indented JSON that ends in a newline: the same record is the same bytes."""
    content = {"schema": SCHEMA, "units": UNITS, **dataclasses.asdict(record)}
    text = json.dumps(content, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False)
    Path(path).write_text(text + "\n", encoding="utf-8")


def load_record(path: str | Path) -> Record:
    """Read a record; raises FileProblem, naming the file and the field, if it is missing, malformed or incomplete."""
    return _parse(Path(path).name, Path(path))


def records() -> list[Record]:
    """The records that come with the workbook, by device and date; empty if none has been made."""
    folder = resources.files("minillm.measure") / "records"
    if not folder.is_dir():
        return []
    found = [_parse(file.name, file) for file in folder.iterdir() if file.name.endswith(".json")]
    return sorted(found, key=lambda record: (record.device, record.date))


def _parse(name: str, file: Any) -> Record:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise FileProblem(f"record {name}: there is no such file; records() lists the ones that come along.") from None
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as problem:
        raise FileProblem(f"record {name}: not readable as JSON ({problem}); write it with save_record.") from None
    try:
        return _record(content)
    except InvalidValue as problem:
        raise FileProblem(f"record {name}: {problem}") from None


def _record(content: Any) -> Record:
    require_table("the file", content)
    facts = dict(content)
    for key, expected in (("schema", SCHEMA), ("units", UNITS)):
        if (given := facts.pop(key, None)) != expected:
            raise InvalidValue(rule_numbers_remedy(f"{key} must be {expected}", repr(given), "measure again"))
    require_fields("record", Record, facts)
    rows = {"measurements": (Measurement, "measurement"), "untimed": (Untimed, "case not timed")}
    lists = {name: _rows(name, facts.get(name, []), *kind) for name, kind in rows.items()}
    return Record(**facts | lists)


def _rows(name: str, content: Any, cls: type, kind: str) -> tuple[Any, ...]:
    if not isinstance(content, list):
        raise InvalidValue(rule_numbers_remedy(f"{name} must be a list", repr(content), "use []"))
    for row in content:
        require_table(f"a {kind}", row)
        require_fields(kind, cls, row)
    return tuple(cls(**row) for row in content)
