"""Search for better tiles: compile a few candidates, drop those that spill or do not fit, time the rest, print the winner.

    python benchmarks/operators/tune.py flash_attention --head-dim 128 --causal

The kernels choose from a small table, so that a shape always runs the same code; this is how a row of it is found on a GPU
that one has. Without one, `--target sm_90` says which candidates the compiler leaves standing, and times nothing.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product

import dense_attention
import torch
from plan import TOKENS, Case, attention_shape
from truth import WrongAnswer, require_right

from minillm import kernels
from minillm.errors import MinillmError
from minillm.kernels import inspect
from minillm.kernels.attention_tiles import Tiles, choose_tiles
from minillm.kernels.runtime import architecture
from minillm.measure import Timing, compare_on_gpu
from minillm.measure.numbers import require_whole


def candidates(target: str, head_dim: int, element_size: int) -> list[Tiles]:
    """Tiles worth compiling: the table's own first, then every usual size whose accumulator a program can hold."""
    sizes = product((64, 128), (32, 64, 128), (4, 8), (2, 3))
    usual = [Tiles(*size) for size in sizes if size[0] * head_dim <= 128 * 32 * size[2]]
    return list(dict.fromkeys([choose_tiles(target, head_dim, element_size), *usual]))


def survivors(tiles: Sequence[Tiles], case: Case, target: str) -> Iterator[Tiles]:
    """Those that compile for the target without spilling and within its shared memory; prints what became of each."""
    q, k, v = (x.to("meta") for x in dense_attention.operands(_small(case), torch.Generator().manual_seed(0)))
    jobs = [job for t in tiles for job in inspect.call_jobs(_call, q, k, v, case.causal, t, target=target)]
    for one, report in zip(tiles, inspect.compile_many(jobs), strict=True):
        if isinstance(report, MinillmError):
            print(f"  {one}: does not compile")
            continue
        stays = report.fits and not report.spill_bytes
        resources = f"{report.registers} registers, {report.spill_bytes} B spilled, {report.shared_bytes} B shared"
        print(f"  {one}: {resources}{'' if stays else ': dropped'}", flush=True)
        if stays:
            yield one


def race(tiles: Sequence[Tiles], case: Case, device: str, seconds: float) -> dict[Tiles, Timing]:
    """The candidates that give the right answer, timed in turns on fresh data."""
    random = torch.Generator(device)
    random.seed()
    operands = dense_attention.operands(case, random)
    samples = dense_attention.forward_truth(case, operands, random)
    calls = {}
    for one in tiles:
        call = partial(_call, *operands, case.causal, one)
        try:
            require_right(call(), samples, case.dtype)
            calls[str(one)] = [call]
        except WrongAnswer as problem:
            print(f"  {one}: dropped, its answer is wrong: {problem}")
    timings = compare_on_gpu(calls, min_seconds=seconds) if calls else {}
    return {one: timings[str(one)] for one in tiles if str(one) in timings}


def main(arguments: Sequence[str] | None = None) -> None:
    """Print what became of every candidate, the times of those that ran, and the row to paste."""
    chosen = _parser().parse_args(arguments)
    require_whole(head_dim=chosen.head_dim, length=chosen.length)
    on_gpu = kernels.mode().name == "gpu"
    target = chosen.target or (architecture() if on_gpu else None)
    if target is None:
        sys.exit("there is no GPU here: name one to compile for, such as --target sm_90")
    shape = attention_shape(max(1, TOKENS // chosen.length), chosen.length, (32, chosen.kv_heads), chosen.head_dim)
    case = Case("attention", shape, chosen.dtype, (), {"causal": chosen.causal})
    size = getattr(torch, chosen.dtype).itemsize
    print(f"{case}, for {target}")
    left = list(survivors(candidates(target, chosen.head_dim, size), case, target))
    if not on_gpu or target != architecture():
        print(f"{len(left)} left; none timed, for this machine is not a {target}")
        return
    timings = race(left, case, "cuda", chosen.seconds)
    flops, _ = dense_attention.forward_cost(case, size)
    for one, timing in sorted(timings.items(), key=lambda found: found[1].p50):
        print(f"  {1e3 * timing.p50:8.3f} ms {flops / timing.p50 / 1e12:6.0f} TFLOP/s  {one}")
    if timings:
        best = min(timings, key=lambda one: timings[one].p50)
        print(f'("{target}", {size}): ({chosen.head_dim}, {best})')


def _call(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool, tiles: Tiles) -> object:
    return kernels.flash_attention(q, k, v, causal=causal, tiles=tiles)


def _small(case: Case) -> Case:
    # The compiler asks for a shape's letters only by what 16 divides.
    return Case(case.operator, dict(case.shape) | {"B": 1, "L": 64, "S": 64}, case.dtype, (), case.options)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="tune", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("kernel", choices=["flash_attention"])
    parser.add_argument("--head-dim", type=int, default=128, help="D (default: %(default)s)")
    parser.add_argument("--length", type=int, default=4096, help="L = S (default: %(default)s)")
    parser.add_argument("--kv-heads", type=int, default=32, help="G, for 32 query heads (default: %(default)s)")
    parser.add_argument("--dtype", default="bfloat16", choices=["float16", "bfloat16", "float32"])
    parser.add_argument("--causal", action="store_true")
    parser.add_argument("--target", help="compile for this GPU instead, such as sm_90, and time nothing")
    parser.add_argument("--seconds", type=float, default=0.2, help="time for each candidate (default: %(default)s)")
    return parser


if __name__ == "__main__":
    main()
