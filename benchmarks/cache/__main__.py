"""What the caches cost: a step of decoding over each kind, the pool's own operations, and looking a prefix up.

Steps are timed on the processor, with one thread and with as many as torch uses here, contestants in turn.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import decode_step
import pool
import torch

from minillm.measure.hardware import measure_this_machine
from minillm.measure.run import RECORDS, record_run, writable_folder, write_record


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line a row and, unless told not to, write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a first look: two cases, few rounds")
    parser.add_argument("--threads", type=int, nargs="+", default=sorted({1, torch.get_num_threads()}))
    parser.add_argument("--out", type=Path, default=RECORDS, help="folder for the record (default: with the others)")
    parser.add_argument("--no-record", action="store_true", help="print only")
    chosen = parser.parse_args(arguments)
    if not chosen.no_record:
        writable_folder(chosen.out)
    quick = chosen.quick
    rows = [*pool.pool_operations(quick=quick), *pool.prefix_lookup(quick=quick)]
    print("\n".join(map(pool.in_words, rows)), flush=True)
    steps = decode_step.decode_steps(threads=chosen.threads, quick=quick)
    print("\n".join(map(decode_step.in_words, steps)))
    paged = [row for row in steps if row.backend == "paged" and row.ratio_to_torch is not None]
    worst = max(1 / row.ratio_to_torch for row in paged if row.ratio_to_torch)
    print(f"a paged step takes at most {worst:.2f} of a contiguous one (promised: {decode_step.PROMISED})")
    if chosen.no_record:
        return
    record = record_run([*rows, *steps], measure_this_machine("cpu"), f"python benchmarks/cache{' --quick' * quick}")
    path = write_record(record, f"cache{'-quick' * quick}", chosen.out)
    print(f"recorded in {path.name}")


if __name__ == "__main__":
    main()
