"""Which line of my kernel became this instruction? Source, TTIR, PTX and the rest of a compiled kernel, two at a time.

Pick a source line and see what it turned into at any stage, in two compilations side by side: with and without 16-byte
alignment, with 4 warps and with 8, for one GPU and for another. The counters on top say what the difference cost. Reports
(`kernels/inspect.py`) are plain data, so what is shown here was compiled without a GPU and can be looked at anywhere.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from minillm.lab import figures

if TYPE_CHECKING:
    from minillm.kernels.report import Report

STAGES = ("ttir", "ttgir", "llir", "ptx", "amdgcn", "sass")
# What stands for a stage that a target does not have: every target ends in some assembly.
STAND_INS = {"ptx": "amdgcn", "sass": "amdgcn", "amdgcn": "ptx"}
LINES_IN_TEXT = 8
TRAFFIC = re.compile(
    r"tt\.load|async_copy|cp\.async\.c|(?:ld|st)\.(?:global|local)|\b(?:LDGSTS|LDG|STG|LDL|STL|UTMALDG|UTMASTG)\b"
    r"|(?:buffer|global|flat|scratch)_(?:load|store)"
)


@dataclass(frozen=True)
class StageLines:
    """One report's stage, sorted by the source line each of its lines came from: `by_line` maps "file:line" to texts."""

    name: str
    report: Report
    stage: str

    @cached_property
    def by_line(self) -> Mapping[str, list[str]]:
        found: dict[str, list[str]] = {}
        for place, text in self.report.lines(self.stage):
            if place is not None and not _is_label(text):
                found.setdefault(str(place), []).append(text.strip().replace("\t", " "))
        return found

    @cached_property
    def total(self) -> int:
        """Lines of code in the stage, whoever they came from."""
        return sum(not _is_label(text) for _, text in self.report.lines(self.stage))

    def of(self, place: str) -> list[str]:
        """The stage's lines that came from one source line."""
        return self.by_line.get(place, [])

    def traffic(self, place: str) -> int:
        """How many of those lines move data to or from global or local memory."""
        return sum(bool(TRAFFIC.search(text)) for text in self.of(place))

    def operations(self, place: str) -> list[tuple[str, int]]:
        """What those lines do and how often, the most frequent first: ("cp.async.cg.shared.global", 16)."""
        counted = Counter(operation(self.stage, text) for text in self.of(place))
        return sorted(counted.items(), key=lambda pair: (-pair[1], pair[0]))


@dataclass(frozen=True)
class IRView:
    """One or two compilations (`sides`) of a kernel at one stage, and the source line that is picked, as "file:line"."""

    sides: tuple[StageLines, ...]
    source: Mapping[str, str]
    picked: str

    @property
    def counters(self) -> list[tuple[str, list[int]]]:
        """(what, its number on each side), the ones a change of configuration moves."""
        return [(name, [read(side.report) for side in self.sides]) for name, read in COUNTERS]


def _local(report: Report) -> int:
    return report.instructions.get("local_load", 0) + report.instructions.get("local_store", 0)


COUNTERS: tuple[tuple[str, Any], ...] = (
    ("registers a thread", lambda r: r.registers),
    ("spilled, bytes a thread", lambda r: r.spill_bytes),
    ("shared memory, bytes", lambda r: r.shared_bytes),
    ("programs on one processor", lambda r: r.occupancy.programs),
    ("matrix instructions", lambda r: r.matrix_instructions),
    ("asynchronous copies, 16 bytes", lambda r: r.wide_async_copies),
    ("global loads", lambda r: r.instructions.get("global_load", 0)),
    ("spill loads and stores", _local),
)


def make_view(reports: Mapping[str, Report], left: str, right: str, stage: str, picked: str) -> IRView:
    """Reports by name, two of the names (or one twice), a stage and a source line -> what the widget shows."""
    names = (left,) if left == right else (left, right)
    sides = tuple(StageLines(name, reports[name], stage_of(reports[name], stage)) for name in names)
    return IRView(sides, written(reports), picked)


def stage_of(report: Report, stage: str) -> str:
    """The stage itself, or what stands for it on a target that has none of that name."""
    return stage if stage in report.stages else STAND_INS.get(stage, "ttir")


def written(reports: Mapping[str, Report]) -> dict[str, str]:
    """Every source line of the kernels, "file:line" -> text, in the order written; functions keep together."""
    lines = {place: text for report in reports.values() for place, text in report.source.items()}
    return {str(place): lines[place] for place in sorted(lines)}


def lines_with_code(reports: Mapping[str, Report]) -> list[str]:
    """The source lines that became something, at any stage of any report, in the order written."""
    known = {
        str(place)
        for report in reports.values()
        for stage in report.stages
        for place, _ in report.lines(stage)
        if place
    }
    return [place for place in written(reports) if place in known]


def most_changed(reports: Mapping[str, Report], left: str, right: str, stage: str) -> str:
    """The source line whose traffic with memory differs most between two reports, or else whose number of lines does.

    Of one report, the line with most of it.
    """
    first, *second = make_view(reports, left, right, stage, "").sides

    def change(place: str) -> tuple[int, int]:
        others = [(side.traffic(place), len(side.of(place))) for side in second] or [(0, 0)]
        return abs(first.traffic(place) - others[0][0]), abs(len(first.of(place)) - others[0][1])

    return max(lines_with_code(reports), key=change)


def operation(stage: str, text: str) -> str:
    """The name of what a line does: `tt.dot`, `cp.async.cg.shared.global`, `HGMMA.64x64x16.F32.BF16`."""
    code = re.sub(r"/\*.*?\*/", "", text).strip()
    if stage in ("ttir", "ttgir", "llir"):
        code = re.sub(r"^%?[\w:#, %]+ = ", "", code)
        code = re.sub(r"^(?:tail )?call .*?@([\w.]+).*", r"\1", code) if stage == "llir" else code
    else:
        code = re.sub(r"^@!?%?U?P?\w+\s+", "", code)
    return re.split(r"[\s(;]", code.lstrip("{ "), maxsplit=1)[0].strip('"')


def _is_label(text: str) -> bool:
    return bool(re.fullmatch(r"\s*[$.]?[\w$.]+:.*|\s*[{}()]*\s*", text)) and "=" not in text


def describe_view(data: IRView) -> str:
    """The counters of both sides, the picked line, and for each side what it became: a tally, then the first lines."""
    names = ["", *(side.name for side in data.sides)]
    rows = [[name, *map(figures.format_number, numbers)] for name, numbers in data.counters]
    lines = [headline(side) for side in data.sides]
    lines += figures.text_table(names, rows)
    lines.append(f"{data.picked}  {data.source.get(data.picked, '').strip()}")
    for side in data.sides:
        lines += [f"{side.name}: {tally(side, data.picked)}"]
        code = side.of(data.picked)
        lines += [f"    {text}" for text in code[:LINES_IN_TEXT]]
        lines += [f"    … and {len(code) - LINES_IN_TEXT} more"] if len(code) > LINES_IN_TEXT else []
    return "\n".join(lines)


def headline(side: StageLines) -> str:
    """What one side is: kernel, target, warps and stages."""
    config = side.report.config
    warps, stages = config.get("num_warps", "?"), config.get("num_stages", "?")
    fixed = f"{warps} warp{'s' * (warps != 1)}, {stages} stage{'s' * (stages != 1)}"
    return f"{side.name}: {side.report.kernel} for {side.report.target}, {fixed}"


def tally(side: StageLines, place: str) -> str:
    """How many of a stage's lines came from a source line, and what they do."""
    code = side.of(place)
    if not code:
        return f"no line of its {side.stage}"
    named = ", ".join(f"{count} {name}" for name, count in side.operations(place)[:6])
    rest = len(side.operations(place)) - 6
    others = f" and {rest} other kind{'s' * (rest > 1)}" if rest > 0 else ""
    return f"{len(code)} of {side.total} lines of {side.stage}: {named}{others}"
