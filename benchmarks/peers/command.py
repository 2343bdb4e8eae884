"""Installing and running, as `peers.py` is told to."""

from __future__ import annotations

import argparse
import ctypes.util
import dataclasses
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cast import cases
from checkpoints import checkpoint
from contest import Case, Contestant, Result, run_case
from environments import PEERS, chosen_peers, install, problem_with, python_of
from judge import references
from report import OURS, rows, table
from worker_process import WorkerFailed, WorkerProcess

from minillm.errors import MinillmError
from minillm.measure import Measurement, Untimed
from minillm.measure.hardware import measure_this_machine
from minillm.measure.run import RECORDS, record_run, writable_folder, write_record

HERE = Path(__file__).parent
QUIET = 0.7  # a load average above this is somebody else's work


class Found(NamedTuple):
    """All cases together: rows, reasons for rows that are missing, and the peers' versions."""

    measured: list[Measurement]
    missed: list[Untimed]
    versions: dict[str, str]


def main(description: str, arguments: Sequence[str] | None = None) -> int:
    """Install or run; 0 unless something that was asked for could not be done at all."""
    chosen = _parser(description).parse_args(arguments)
    try:
        chosen.folder.mkdir(parents=True, exist_ok=True)
        return chosen.do(chosen)
    except MinillmError as problem:
        print(f"peers: {problem}", file=sys.stderr)
        return 2


def _install(chosen: argparse.Namespace) -> int:
    said = install(chosen.folder, chosen.peers)
    print("\n".join(said))
    return int(any("could not" in line or "does not import" in line for line in said))


def _run(chosen: argparse.Namespace) -> int:
    chosen_peers(chosen.peers)
    if not chosen.no_record:
        writable_folder(chosen.out)
    load = os.getloadavg()[0]
    if load > QUIET and not chosen.busy:
        print(f"the load average is {load:.2f}, above {QUIET}: shared cores lie; wait, or say --busy", file=sys.stderr)
        return 1
    ceilings = None if chosen.no_record else measure_this_machine("cpu")
    absent = {name: why for name in PEERS if (why := problem_with(chosen.folder, name))}
    for name, why in absent.items():
        print(f"{name}: {why}", flush=True)
    found = Found([], [], {})
    for case in cases(chosen.cases, chosen.peers):
        _measure(case, chosen, absent, found)
        if ceilings is not None and found.measured:  # after every case, for the next may be interrupted
            record = record_run(found.measured, ceilings, _command(chosen), untimed=found.missed)
            record = dataclasses.replace(record, versions={**record.versions, **found.versions})
            print(f"recorded in {write_record(record, _record_name(chosen.threads), chosen.out).name}", flush=True)
    return 0 if found.measured else 1


def _command(chosen: argparse.Namespace) -> str:
    words = [f"python benchmarks/peers/peers.py run --rounds {chosen.rounds} --threads {chosen.threads}"]
    words += [f"--cases {' '.join(chosen.cases)}"] * bool(chosen.cases)
    return " ".join([*words, *chosen.peers])


def _record_name(threads: int) -> str:
    """With fewer threads than cores it is another record."""
    return "peers" if threads == _cores() else f"peers-{threads}-thread{'s' * (threads > 1)}"


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _measure(case: Case, chosen: argparse.Namespace, absent: dict[str, str], found: Found) -> None:
    """Run a case, compare its texts, print it, and add it to what was found."""
    folder, threads = checkpoint(case.model, chosen.folder / "checkpoints"), chosen.threads

    def start(one: Contestant, threads: int) -> WorkerProcess:
        if one.peer in absent:
            raise WorkerFailed(absent[one.peer])
        python = sys.executable if one.peer is None else python_of(chosen.folder, one.peer)
        library = None if one.preload is None else ctypes.util.find_library(one.preload)
        if one.preload and not library:
            print(f"{one.label}: lib{one.preload}, with which it would be faster, is not on this machine", flush=True)
        return WorkerProcess(python, HERE / "workers" / one.script, threads, library)

    print(f"\n{case.name}, {threads} threads, load average {os.getloadavg()[0]:.2f}", flush=True)
    results = run_case(case, folder, threads, chosen.rounds, start, lambda line: print(line, flush=True))
    greedy = references(folder, case.requests, _candidates(results), chosen.folder)
    measured, missed = rows(case, results, greedy, threads)
    print(table(case, measured, missed, threads), flush=True)
    found.measured.extend(measured)
    found.missed.extend(missed)
    for result in results:
        if result.contestant.peer is not None and result.versions:
            found.versions[result.contestant.peer] = result.versions.get(result.contestant.peer, "unknown")


def _candidates(results: Sequence[Result]) -> list[list[list[int]]]:
    """All requests' texts in float32; ours come last, as others' words for the reference count for more."""
    full = [r for r in results if r.texts and r.contestant.share == 1 and r.contestant.dtype == "float32"]
    return [r.texts for r in sorted(full, key=lambda r: r.contestant.name == OURS)]


def _parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="peers.py", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, default=HERE.parents[1] / ".peers", help="(default: .peers)")
    orders = parser.add_subparsers(required=True, metavar="install|run")
    install_ = orders.add_parser("install", help="make the environments")
    install_.set_defaults(do=_install)
    run_ = orders.add_parser("run", help="measure")
    run_.set_defaults(do=_run)
    for order in (install_, run_):
        order.add_argument("peers", nargs="*", metavar="peer", help=f"{', '.join(PEERS)}; all by default")
    run_.add_argument("--cases", nargs="+", default=(), choices=[case.name for case in cases()], help="(default: all)")
    run_.add_argument("--threads", type=int, default=_cores(), help="(default: as many as cores, %(default)s)")
    run_.add_argument("--rounds", type=int, default=5, help="(default: %(default)s)")
    run_.add_argument("--busy", action="store_true", help="measure although others are at work")
    run_.add_argument("--out", type=Path, default=RECORDS, help="folder for the record (default: with the others)")
    run_.add_argument("--no-record", action="store_true", help="print only")
    return parser
