"""Running a learner's notebook cell by cell in a kernel of its own, within bounds, and reading back its verdicts.

`check` writes each verdict to the file named in MINILLM_CHECK_LOG; what cells print is thrown away as it arrives, so a
cell that prints forever fills no memory here, and printed text cannot pass for a verdict.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nbclient import NotebookClient
from nbclient.exceptions import CellTimeoutError, DeadKernelError

from minillm.lab.grading.bounds import bound_memory
from minillm.lab.lessons import LESSON_ENVIRONMENT

CELL_TIMEOUT_S = 120.0

# The last cell: names the pieces of the check framework that a cell replaced. It compares code with the files it came
# from, so a function of the same name from elsewhere shows.
_PROBE = """
import json as _json, os as _os
from minillm.lab.checks import call as _call, compare as _compare, judge as _checks
import minillm as _ml
_replaced = [
    f"{_place.__name__}.{_name}"
    for _place, _home, _names in [
        (_ml.lab, _checks, ["check"]),
        (_checks, _checks, ["check", "judge", "_judge_case", "_record"]),
        (_checks, _call, ["LearnerCall"]),
        (_compare, _compare, ["kind_problem", "value_problem"]),
    ]
    for _name in _names
    if getattr(getattr(_place, _name, None), "__module__", None) != _home.__name__
    or getattr(getattr(getattr(_place, _name), "__code__", None), "co_filename", _home.__file__) != _home.__file__
]
with open(_os.environ["MINILLM_CHECK_LOG"], "a") as _log:
    _log.write(_json.dumps({"replaced": _replaced}) + "\\n")
"""


@dataclass
class Run:
    """What one run of a notebook left behind."""

    verdicts: list[dict[str, Any]] = field(default_factory=list)
    cell_errors: tuple[str, ...] = ()
    stopped: str | None = None
    remarks: tuple[str, ...] = ()


class _QuietClient(NotebookClient):
    """A client that keeps no output."""

    def output(self, outs, msg, display_id, cell_index):  # type: ignore[no-untyped-def]
        return None


def run_notebook(notebook: Any, folder: Path, log: Path, timeout_s: float, memory_mb: int) -> Run:
    """Run every code cell of `notebook` with `folder` as its working folder; verdicts pass through the file `log`."""
    deadline = time.monotonic() + timeout_s
    errors: list[str] = []
    client = _client(notebook, folder, deadline, errors)
    log.touch()
    remarks: list[str] = []
    stopped = None
    with client.setup_kernel(env=_environment(log), cwd=str(folder)):
        refusal = bound_memory(client.km, memory_mb)
        remarks += [refusal] if refusal else []
        stopped = _run_cells(client, notebook, deadline, timeout_s)
        if stopped is None:
            stopped = _run_probe(client)
    verdicts, replaced = _read_log(log)
    if replaced:
        remarks.append(f"tampering: the notebook replaced {', '.join(replaced)}, so its verdicts prove nothing")
    return Run(verdicts, tuple(errors), stopped, tuple(remarks))


def _client(notebook: Any, folder: Path, deadline: float, errors: list[str]) -> NotebookClient:
    def note_error(cell: Any, cell_index: int, execute_reply: dict[str, Any]) -> None:
        content = execute_reply["content"]
        if content["status"] == "error":
            errors.append(_error_text(cell_index, str(content.get("ename")), str(content.get("evalue"))))

    quiet = logging.getLogger("minillm.grade")
    quiet.setLevel(logging.CRITICAL)
    return _QuietClient(
        notebook,
        kernel_name="python3",
        timeout_func=lambda _cell: max(1.0, min(CELL_TIMEOUT_S, deadline - time.monotonic())),
        interrupt_on_timeout=True,
        error_on_timeout={"ename": "Timeout", "evalue": "interrupted because it took too long", "traceback": []},
        iopub_timeout=1,
        allow_errors=True,
        record_timing=False,
        on_cell_executed=note_error,
        shutdown_kernel="immediate",
        log=quiet,
        extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
        resources={"metadata": {"path": str(folder)}},
    )


def _environment(log: Path) -> dict[str, str]:
    """The tests' environment, verdicts to `log`, and no start-up files of the person who grades."""
    own = {"MINILLM_CHECK_LOG": str(log), "IPYTHONDIR": str(log.parent / "ipython")}
    return {**os.environ, **LESSON_ENVIRONMENT, **own}


def _run_cells(client: NotebookClient, notebook: Any, deadline: float, timeout_s: float) -> str | None:
    """Run the cells in order; returns why the run ended early, or None."""
    for index, cell in enumerate(notebook.cells):
        if time.monotonic() >= deadline:
            return f"the time of {timeout_s:g} seconds ran out before cell {index}"
        try:
            client.execute_cell(cell, index)
        except DeadKernelError:
            return f"the process died in cell {index}: out of memory, or ended by the notebook itself"
        except CellTimeoutError:
            return f"cell {index} could not be interrupted"
    return None


def _run_probe(client: NotebookClient) -> str | None:
    from nbformat.v4 import new_code_cell

    try:
        client.nb.cells.append(new_code_cell(_PROBE))
        client.execute_cell(client.nb.cells[-1], len(client.nb.cells) - 1)
    except (DeadKernelError, CellTimeoutError):
        return "the process did not answer after the last cell"
    return None


def _read_log(log: Path) -> tuple[list[dict[str, Any]], list[str]]:
    """The verdicts in the log, and the names the probe found replaced. Lines that are no record are passed over."""
    verdicts, replaced = [], []
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return [], ["the file of verdicts"]
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and "exercise" in record:
            verdicts.append(record)
        elif isinstance(record, dict):
            replaced += [str(name) for name in record.get("replaced", ())]
    return verdicts, replaced


def _error_text(cell_index: int, name: str, value: str) -> str:
    """One line for a cell that raised, without addresses or terminal colours."""
    text = re.sub(r"\x1b\[[0-9;]*m", "", (value.strip().splitlines() or [""])[0])
    return f"cell {cell_index}: {name}: " + re.sub(r"0x[0-9a-fA-F]{6,}", "0x…", text)[:200]
