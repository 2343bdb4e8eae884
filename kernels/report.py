"""What became of a kernel when it was compiled: every stage's text, what it needs, how many fit, what it is made of.

A report is plain data. Print it for a table, take `to_json()` to keep or compare it, and `lines(stage)` to see which line
of the kernel an instruction came from.
"""

from __future__ import annotations

import html
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from minillm.errors import unknown_name
from minillm.kernels.assembly import MATRIX, count_instructions, read_resources
from minillm.kernels.compile_child import Job
from minillm.kernels.occupancy import Occupancy, architecture_of, occupancy
from minillm.kernels.source_map import Lines, Place, source_lines


@dataclass(frozen=True, repr=False)
class Report:
    """One kernel, compiled for one target. Shared memory in bytes a program, registers and spills (bytes) a thread.

    `stages` maps ttir, ttgir, llir, then ptx and sass or amdgcn, to their text; `instructions` counts the last of them.
    `config` is what was fixed when it was compiled: warps, stages, and the kernel's constants. `source` is the kernel and
    its helpers as they were written: (file, line) -> text, where this project's own files are named as seen from its root.
    """

    kernel: str
    target: str
    config: dict[str, Any]
    registers: int
    spill_bytes: int
    shared_bytes: int
    shared_limit: int
    occupancy: Occupancy
    instructions: dict[str, int]
    compile_seconds: float
    triton: str
    stages: dict[str, str] = field(compare=False)
    source: dict[Place, str] = field(compare=False)

    @property
    def fits(self) -> bool:
        """Whether one program's shared memory is within what the target gives a program."""
        return self.shared_bytes <= self.shared_limit

    @property
    def matrix_instructions(self) -> int:
        return sum(self.instructions.get(name, 0) for name in MATRIX)

    @property
    def wide_async_copies(self) -> int:
        """Copies to shared memory that run beside the arithmetic: 16 bytes a thread, or TMA's whole tiles."""
        return self.instructions.get("async_copy_16", 0) + self.instructions.get("tma_load", 0)

    def stage(self, name: str) -> str:
        """One stage's text; raises InvalidValue, with the nearest name, for a stage that this target has not."""
        if name not in self.stages:
            raise unknown_name(f"stage for {self.target}", name, self.stages)
        return self.stages[name]

    def lines(self, stage: str) -> Lines:
        """(place in `source` or None, text) for each line of a stage, location notes taken out."""
        return source_lines(stage, self.stage(stage), {place.file: None for place in self.source})

    def to_json(self) -> dict[str, Any]:
        """Everything, as plain values."""
        source = [{"file": place.file, "line": place.line, "text": text} for place, text in self.source.items()]
        plain = asdict(replace(self, source={}))
        derived = {"fits": self.fits, "matrix_instructions": self.matrix_instructions}
        return plain | derived | {"wide_async_copies": self.wide_async_copies, "source": source}

    def rows(self) -> list[tuple[str, str]]:
        """The table's rows: what it is called, and the number with its unit."""
        chip = architecture_of(self.target)
        warning = "" if self.fits else ": does not fit"
        return [
            ("kernel", self.kernel),
            ("target", f"{self.target} ({chip.name})"),
            ("config", ", ".join(f"{name}={value}" for name, value in self.config.items())),
            ("registers a thread", f"{self.registers:,}"),
            ("spilled, bytes a thread", f"{self.spill_bytes:,}"),
            ("shared memory, bytes", f"{self.shared_bytes:,} of {self.shared_limit:,}{warning}"),
            (f"on one {chip.unit}", str(self.occupancy)),
            ("instructions", ", ".join(f"{n} {name}" for name, n in self.instructions.items() if n)),
            ("compiled", f"in {self.compile_seconds:.1f} s by Triton {self.triton}"),
        ]

    def __str__(self) -> str:
        return "\n".join(f"{name:<24} {value}" for name, value in self.rows())

    def __repr__(self) -> str:
        return f"Report({self.kernel!r}, {self.target!r}, registers={self.registers}, spill_bytes={self.spill_bytes})"

    def _repr_html_(self) -> str:
        cells = "".join(
            f"<tr><th style='text-align:left'>{html.escape(name)}</th>"
            f"<td style='text-align:left'>{html.escape(value)}</td></tr>"
            for name, value in self.rows()
        )
        return f"<table>{cells}</table>"


def make_report(job: Job, answer: dict[str, Any]) -> Report:
    """Put numbers to what the compiling process found."""
    stages = dict(answer["stages"])
    resources = read_resources(stages, answer["assembler_log"])
    chip = architecture_of(job.target)
    resident = occupancy(
        chip,
        registers=resources.registers,
        shared_bytes=answer["shared_bytes"],
        warps=job.options["num_warps"],
        tensor_memory_columns=answer["tensor_memory_columns"],
    )
    return Report(
        kernel=answer["name"],
        target=job.target,
        config=dict(job.options) | {name: show(constant) for name, constant in job.parcel.constants.items()},
        registers=resources.registers,
        spill_bytes=resources.spill_bytes,
        shared_bytes=answer["shared_bytes"],
        shared_limit=chip.program_shared_bytes,
        occupancy=resident,
        instructions=count_instructions(stages),
        compile_seconds=answer["seconds"],
        triton=answer["triton"],
        stages=stages,
        source=written_lines(job),
    )


def show(constant: Any) -> Any:
    """A constant as a report shows it: plain values as they are, functions and types by their names."""
    value = constant.value
    if constant.kind == "import":
        return ".".join(value)
    if isinstance(value, (bool, int, float, str, type(None))) and constant.kind == "value":
        return value
    return str(value)


def written_lines(job: Job) -> dict[Place, str]:
    """The kernel's lines, then its helpers', each with the file and line where it stands."""
    return {
        Place(function.file, function.line + offset): text
        for function in job.parcel.functions
        for offset, text in enumerate(function.source.splitlines())
    }
