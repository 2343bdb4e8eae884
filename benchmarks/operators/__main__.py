"""How fast the operators run here: our kernels beside torch's best calls, and both beside the machine's two ceilings.

The ceilings are measured first, in the same run; every timed call is first held to float64 on fresh random data. On a
processor only the torch forms are timed, small; interpreted kernels are slow by design, and their time says nothing.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import torch
from journal import Journal
from plan import Case, cpu_plan, gpu_plan
from targets import verdicts
from trial import OPERATORS, GpuWatch, ProcessorWatch, left_out, try_case

from minillm.measure.hardware import measure_this_machine
from minillm.measure.run import RECORDS, writable_folder, write_record


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure the ceilings, then the plan: a line a row as it comes, and a record that is saved after every case."""
    begun = time.monotonic()
    chosen = _parser().parse_args(arguments)
    if not chosen.no_record:
        writable_folder(chosen.out)
    on_gpu = torch.cuda.is_available()
    device, make_plan, make_watch = ("cuda", gpu_plan, GpuWatch) if on_gpu else ("cpu", cpu_plan, ProcessorWatch)
    seed = random.SystemRandom().randrange(2**31) if chosen.seed is None else chosen.seed
    plan = [case for case in make_plan(chosen.quick) if not chosen.only or case.operator in chosen.only]

    print("the ceilings first: a copy and large matrix products", flush=True)
    ceilings = measure_this_machine(device)
    print(ceilings, flush=True)
    save = partial(write_record, benchmark=f"operators{'-quick' * chosen.quick}", folder=chosen.out)
    journal = Journal(ceilings, _command(chosen, seed), None if chosen.no_record else save)
    run(
        plan,
        journal,
        lambda case: try_case(case, device, make_watch(chosen.seconds), seed),
        lambda: time.monotonic() - begun > 60 * chosen.minutes,
    )
    if journal.record is None:
        sys.exit("nothing could be timed, so there is no record")
    for verdict in verdicts(journal.record):
        print(verdict)
    saved = f"; recorded in {journal.path.name}" if journal.path else ""
    print(f"{len(journal.rows)} rows measured, {len(journal.untimed)} not timed{saved}")


def run(plan: Sequence[Case], journal: Journal, attempt: Callable, is_late: Callable[[], bool]) -> None:
    """Try every case in order; what is left when the time is up goes down as left out."""
    for number, case in enumerate(plan, start=1):
        print(f"[{number}/{len(plan)}] {case}", flush=True)
        journal.add(*(left_out(case, "left out: the time was up") if is_late() else attempt(case)))


def _command(chosen: argparse.Namespace, seed: int) -> str:
    words = ["python benchmarks/operators", "--quick" * chosen.quick, f"--seconds {chosen.seconds:g}", f"--seed {seed}"]
    if chosen.only:
        words.append(f"--only {' '.join(chosen.only)}")
    return " ".join(filter(None, words))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="operators", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a first look: few shapes")
    parser.add_argument("--only", nargs="+", choices=list(OPERATORS), help="these operators")
    parser.add_argument("--out", type=Path, default=RECORDS, help="folder for the record (default: with the others)")
    parser.add_argument("--no-record", action="store_true", help="print only")
    parser.add_argument("--seconds", type=float, default=0.1, help="time for each call (default: %(default)s)")
    parser.add_argument("--minutes", type=float, default=5.5, help="start no case after this (default: %(default)s)")
    parser.add_argument("--seed", type=int, help="draw the same data again")
    return parser


if __name__ == "__main__":
    main()
