"""Reading a learner's fault: which lines of theirs led to it, and whether it is only a stub nobody has filled in yet.

A traceback through torch and our own code teaches nothing, so it is cut down to the learner's frames. File names are
left out: a notebook's cells have another one on every run.
"""

from __future__ import annotations

import contextlib
import dis
import os
import re
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

from minillm.lab.checks.compare import clip
from minillm.lab.checks.result import Finding

# Code in these places is not the learner's: minillm itself, Python's library, installed packages.
_LIBRARY_FOLDERS = (
    *(
        str(Path(__file__).parents[level] / room) + os.sep
        for level, room in ((2, "lab"), (2, "measure"), (3, "kernels"))
    ),
    str(Path(contextlib.__file__).parent) + os.sep,
    "site-packages",
    "dist-packages",
)


def is_stub_error(error: BaseException) -> bool:
    """True for a NotImplementedError that a `raise` in the learner's own code made, not one from inside a library."""
    frames = _learner_frames(error.__traceback__)
    if type(error) is not NotImplementedError or not frames or frames[-1].tb_next is not None:
        return False
    instruction = frames[-1].tb_frame.f_code.co_code[frames[-1].tb_lasti]
    return dis.opname[instruction] == "RAISE_VARARGS"


def _learner_frames(trace: TracebackType | None) -> list[TracebackType]:
    """The traceback entries whose code is neither minillm's, an installed package's nor Python's own."""
    frames = []
    while trace is not None:
        filename = trace.tb_frame.f_code.co_filename
        if not filename.startswith("<frozen") and not any(folder in filename for folder in _LIBRARY_FOLDERS):
            frames.append(trace)
        trace = trace.tb_next
    return frames


def raised_finding(error: BaseException) -> Finding:
    """`error` as the learner should see it: type, first line, and the lines of their own code that led there."""
    text = (str(error).strip().splitlines() or [""])[0]
    text = clip(re.sub(r"0x[0-9a-fA-F]{6,}", "0x…", text), 300)
    facts = [("raised", f"{type(error).__name__}: {text}" if text else type(error).__name__)]
    steps = [_frame_text(trace) for trace in _learner_frames(error.__traceback__)[-3:]]
    if not steps:
        return Finding("What the function returned could not be used by this case.", tuple(facts))
    return Finding("The code raised instead of returning.", (*facts, ("at", "\n".join(steps))))


def _frame_text(trace: TracebackType) -> str:
    """One line such as `line 3 of attention: scores = q @ k`; no file name, which differs from run to run."""
    summary = traceback.extract_tb(trace, limit=1)[0]
    return f"line {summary.lineno} of {summary.name}" + (f": {summary.line}" if summary.line else "")


def has_empty_body(function: Any) -> bool:
    """True for a plain function whose body is only a docstring, `pass` or `...`."""
    code = getattr(function, "__code__", None)
    if code is None or function.__name__ == "<lambda>":
        return False
    steps = [step for step in dis.get_instructions(code) if step.opname not in ("RESUME", "NOP")]
    names = [step.opname for step in steps]
    return names in (["LOAD_CONST", "RETURN_VALUE"], ["RETURN_CONST"]) and steps[0].argval is None
