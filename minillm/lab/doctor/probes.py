"""What the Triton interpreter gets wrong or fails to notice, shown rather than claimed.

Run as `python -m minillm.lab.doctor.probes` with TRITON_INTERPRET=1, in a process of its own because that switch must be
set before Triton is imported. Each probe is a kernel of a few lines that would be wrong, refused or random on a GPU; the
probe prints one line of JSON with what happened here: `hidden` is true when nothing looked amiss.
"""

from __future__ import annotations

import json

import torch
import triton
import triton.language as tl

NUM_PROGRAMS = 16
DOT_SIZE = 512


@triton.jit
def add_kernel(x_ptr, y_ptr, out_ptr, BLOCK: tl.constexpr):
    """x, y -> out, one tile of BLOCK numbers each."""
    offs = tl.arange(0, BLOCK)
    tl.store(out_ptr + offs, tl.load(x_ptr + offs) + tl.load(y_ptr + offs))


@triton.jit
def count_kernel(total_ptr):
    """Adds 1 to one number without an atomic: right only if programs take turns."""
    tl.store(total_ptr, tl.load(total_ptr) + 1)


@triton.jit
def dot_kernel(x_ptr, out_ptr, BLOCK: tl.constexpr):
    """x @ x of one (BLOCK, BLOCK) tile, which needs more shared memory than a GPU has."""
    offs = tl.arange(0, BLOCK)[:, None] * BLOCK + tl.arange(0, BLOCK)[None, :]
    x = tl.load(x_ptr + offs)
    tl.store(out_ptr + offs, tl.dot(x, x))


@triton.jit
def sum_kernel(x_ptr, out_ptr, BLOCK: tl.constexpr):
    """The sum of BLOCK numbers."""
    tl.store(out_ptr, tl.sum(tl.load(x_ptr + tl.arange(0, BLOCK))))


def probe_bfloat16() -> tuple[bool, str]:
    """Add two bfloat16 vectors of ones and halves, which bfloat16 represents exactly."""
    x, y = torch.ones(64, dtype=torch.bfloat16), torch.full((64,), 0.5, dtype=torch.bfloat16)
    out = torch.zeros_like(x)
    add_kernel[(1,)](x, y, out, BLOCK=64)
    got, want = out[0].item(), 1.5
    wrong = not bool((out == want).all())
    said = f"1 + 0.5 in bfloat16 gave {got:.4g}"
    return wrong, f"{said}, and no error" if wrong else f"{said}, as it should, with this version of Triton"


def probe_race() -> tuple[bool, str]:
    """Let every program read, add and write one shared counter without an atomic."""
    total = torch.zeros(1, dtype=torch.int32)
    count_kernel[(NUM_PROGRAMS,)](total)
    serial = total.item() == NUM_PROGRAMS
    return serial, f"{NUM_PROGRAMS} programs added 1 to one number without an atomic and got {total.item()}"


def probe_shared_memory() -> tuple[bool, str]:
    """Multiply two tiles that need more shared memory than any GPU has."""
    x = torch.ones(DOT_SIZE, DOT_SIZE)
    out = torch.empty_like(x)
    dot_kernel[(1,)](x, out, BLOCK=DOT_SIZE)
    right = bool((out == DOT_SIZE).all())
    need = 2 * x.numel() * x.element_size() // 2**20
    return right, f"one program multiplied two {DOT_SIZE}x{DOT_SIZE} float32 tiles, {need} MiB, and was not stopped"


def probe_out_of_bounds() -> tuple[bool, str]:
    """Sum 64 ones with a load of 128 and no mask; the other 64, inside one larger allocation, hold 7."""
    memory = torch.cat([torch.ones(64), torch.full((64,), 7.0)])
    out = torch.zeros(1)
    sum_kernel[(1,)](memory[:64], out, BLOCK=128)
    return (
        out.item() != 64.0,
        f"the sum of 64 ones, loaded 128 wide without a mask, came to {out.item():.0f}, and no error",
    )


PROBES = {
    "shared_memory": probe_shared_memory,
    "race": probe_race,
    "out_of_bounds": probe_out_of_bounds,
    "bfloat16": probe_bfloat16,
}


def main() -> None:
    """Print one JSON line a probe, each as soon as it is known, so that a time limit keeps the earlier ones."""
    for name, probe in PROBES.items():
        try:
            hidden, measured = probe()
        except Exception as error:  # a refusal is a finding too
            hidden, measured = (
                False,
                f"refused: {type(error).__name__}: {str(error).splitlines()[0] if str(error) else ''}",
            )
        print(json.dumps({"probe": name, "hidden": hidden, "measured": measured}), flush=True)


if __name__ == "__main__":
    main()
