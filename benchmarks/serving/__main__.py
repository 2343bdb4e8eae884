"""What serving costs on this machine's processor: a step by what it computes, deciding who is computed, and whole texts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import layouts
import scheduling
import steps
import throughput
import torch

from minillm.measure import Measurement
from minillm.measure.hardware import measure_this_machine
from minillm.measure.run import RECORDS, record_run, writable_folder, write_record
from minillm.measure.step_cost import recorded_step_costs

# By name: what measures this part, and what says one of its rows in words.
PARTS = {
    "scheduling": lambda chosen: (scheduling.scheduling_steps(quick=chosen.quick), scheduling.in_words),
    "steps": lambda chosen: (steps.engine_steps(threads=chosen.threads, quick=chosen.quick), steps.in_words),
    "layouts": lambda chosen: (layouts.layout_steps(threads=chosen.threads, quick=chosen.quick), layouts.in_words),
    "throughput": lambda chosen: (
        throughput.throughput(threads=chosen.threads, quick=chosen.quick),
        throughput.in_words,
    ),
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line a row and how well a formula says them again; unless told not to, write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a first look: each step timed for a moment")
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, torch.get_num_threads()}))
    parser.add_argument("--out", type=Path, default=RECORDS, help="folder for the record (default: with the others)")
    parser.add_argument("--no-record", action="store_true", help="print only")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS), help="so many of the parts")
    chosen = parser.parse_args(arguments)
    if not chosen.no_record:
        writable_folder(chosen.out)
    rows: list[Measurement] = []
    for name in (name for name in PARTS if name in chosen.only):
        measured, in_words = PARTS[name](chosen)
        print("\n".join(map(in_words, measured)), flush=True)
        rows += measured
    only = f" --only {' '.join(chosen.only)}" * (set(chosen.only) != set(PARTS))
    command = f"python benchmarks/serving{' --quick' * chosen.quick}{only}"
    records = [record_run(rows, measure_this_machine("cpu"), command)]
    if torch.cuda.is_available() and "steps" in chosen.only:
        on_gpu = steps.gpu_steps(quick=chosen.quick)
        print("\n".join(map(steps.in_words, on_gpu)), flush=True)
        records.append(record_run(on_gpu, measure_this_machine("cuda"), command))
    for name, fit in recorded_step_costs(records).items():
        print(f"{name}: {fit}")
    for one in () if chosen.no_record else records:
        path = write_record(one, f"serving{'-quick' * chosen.quick}", chosen.out)
        print(f"recorded in {path.name}")


if __name__ == "__main__":
    main()
