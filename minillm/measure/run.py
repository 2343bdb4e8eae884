"""From measurements to a record of this machine: the ceilings are measured in the same run, the facts are looked up.

A benchmark hands over what it measured; this file adds what makes it believable later.
"""

from __future__ import annotations

import re
import subprocess
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from minillm.errors import FileProblem, rule_numbers_remedy
from minillm.measure.hardware import Hardware, describe_this_machine
from minillm.measure.record import Measurement, Record, Untimed, save_record

RECORDS = Path(__file__).parent / "records"


def record_run(
    measurements: Sequence[Measurement], ceilings: Hardware, command: str, *, untimed: Sequence[Untimed] = ()
) -> Record:
    """Measurements and the ceilings of the same run -> a Record of this machine, dated now, at the checkout's commit.

    The device is the one the ceilings were measured on: on a GPU machine a CPU benchmark is still a record of the CPU.
    """
    machine = describe_this_machine()
    return Record(
        device=ceilings.name,
        driver=machine.driver if ceilings.name == machine.device else None,
        system=f"{machine.system}, {machine.cores} cores, {machine.torch_threads} torch threads",
        versions=dict(machine.versions),
        commit=_commit(),
        date=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        copy_bytes_per_s=ceilings.bandwidth_bytes_per_s,
        matmul_flops_per_s=dict(ceilings.matmul_flops_per_s),
        measurements=tuple(measurements),
        untimed=tuple(untimed),
    )


def write_record(record: Record, benchmark: str, folder: Path = RECORDS) -> Path:
    """Save as `<device>-<benchmark>.json`, over this machine's earlier one, and return the path."""
    path = writable_folder(folder) / f"{re.sub(r'[^a-z0-9]+', '-', record.device.lower()).strip('-')}-{benchmark}.json"
    save_record(record, path)
    return path


def writable_folder(folder: Path) -> Path:
    """The folder, made if need be. Raises FileProblem where no record could be saved: ask before measuring, not after."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as problem:
        rule, found = "a record needs a folder that can be written", f"{folder} ({problem.strerror or problem})"
        raise FileProblem(rule_numbers_remedy(rule, found, "name another with --out")) from None


def _commit() -> str:
    def git(*words: str) -> str:
        return subprocess.run(
            ["git", *words], cwd=Path(__file__).parent, capture_output=True, text=True, check=True
        ).stdout.strip()

    try:
        return git("rev-parse", "HEAD") + ("-dirty" if git("status", "--porcelain", "--untracked-files=no") else "")
    except (OSError, subprocess.CalledProcessError):
        return "0000000"  # not a checkout: the record says so by naming no commit
