"""What serving costs on this machine's processor: a step by what it computes, deciding who is computed, and whole texts."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import scheduling
import steps
import throughput
import torch

from minillm.measure.hardware import measure_this_machine
from minillm.measure.run import RECORDS, record_run, writable_folder, write_record
from minillm.measure.step_cost import recorded_step_costs


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line a row and how well a formula says them again; unless told not to, write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a first look: each step timed for a moment")
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, torch.get_num_threads()}))
    parser.add_argument("--out", type=Path, default=RECORDS, help="folder for the record (default: with the others)")
    parser.add_argument("--no-record", action="store_true", help="print only")
    chosen = parser.parse_args(arguments)
    if not chosen.no_record:
        writable_folder(chosen.out)
    decided = scheduling.scheduling_steps(quick=chosen.quick)
    print("\n".join(map(scheduling.in_words, decided)), flush=True)
    computed = steps.engine_steps(threads=chosen.threads, quick=chosen.quick)
    print("\n".join(map(steps.in_words, computed)), flush=True)
    written = throughput.throughput(threads=chosen.threads, quick=chosen.quick)
    print("\n".join(map(throughput.in_words, written)), flush=True)
    command = f"python benchmarks/serving{' --quick' * chosen.quick}"
    record = record_run([*decided, *computed, *written], measure_this_machine("cpu"), command)
    records = [record]
    if torch.cuda.is_available():
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
