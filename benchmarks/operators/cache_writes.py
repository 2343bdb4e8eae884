"""New tokens' keys and values to their slots in a paged cache, plain or turned to their positions on the way.

All memory and hardly any arithmetic, so the machine's own copy is the ceiling. Caches are wiped before a contestant's
answer is looked at: what another one wrote must not pass for his.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from paged_reads import scattered_blocks, slots_of
from plan import Case
from torch import Tensor
from truth import SAMPLED_ROWS, Sample, sample_rows

import minillm as ml

Call = Callable[[], object]
TEXTS = 4
ROPE_THETA = 10_000.0


def write_operands(case: Case, random: torch.Generator) -> tuple[Tensor, ...]:
    """k and v (T, G, D), random, caches (num_blocks, P, G, D) twice as large as needed, and the tokens' slots (T,)."""
    T, G, D, P = (case.shape[letter] for letter in "TGDP")
    dtype, device = getattr(torch, case.dtype), random.device
    k, v = (torch.randn(T, G, D, generator=random, device=device).to(dtype) for _ in range(2))
    table = scattered_blocks(2, T, P, random)
    k_cache, v_cache = (torch.zeros(table.numel(), P, G, D, dtype=dtype, device=device) for _ in range(2))
    return k, v, k_cache, v_cache, slots_of(table, T, P)[0].contiguous()


def write_call(
    case: Case, name: str, k: Tensor, v: Tensor, k_cache: Tensor, v_cache: Tensor, slots: Tensor
) -> Callable[[], tuple[Tensor, Tensor]]:
    """A contestant by name -> the call that writes and returns both caches."""
    k_cache.zero_()
    v_cache.zero_()
    write = _torch_write if name == "torch" else ml.kernels.kv_write

    def run() -> tuple[Tensor, Tensor]:
        write(k, v, k_cache, v_cache, slots)
        return k_cache, v_cache

    return run


def write_truth(case: Case, operands: tuple[Tensor, ...], random: torch.Generator) -> list[Sample]:
    """A few tokens, read back from their slots."""
    k, v, _, _, slots = operands
    rows = sample_rows(case.shape["T"], SAMPLED_ROWS, random)
    return [
        Sample(lambda caches, i=i: caches[i].flatten(0, 1)[slots[rows]], x[rows].double()) for i, x in enumerate((k, v))
    ]


def write_price(case: Case, element_size: int) -> tuple[None, int]:
    """Keys and values read once and written once, and the slots."""
    T, G, D = (case.shape[letter] for letter in "TGD")
    return None, 4 * T * G * D * element_size + 8 * T


def rotary_operands(case: Case, random: torch.Generator) -> tuple[Tensor, ...]:
    """q (T, H, D), then as for writing, with cos and signed sin (max_pos, D) and the tokens' positions (T,) before the caches."""
    T, H, D = (case.shape[letter] for letter in "THD")
    dtype, device = getattr(torch, case.dtype), random.device
    k, v, *rest = write_operands(case, random)
    q = torch.randn(T, H, D, generator=random, device=device).to(dtype)
    cos, sin = (x.to(device, dtype) for x in signed_angles(positions_in(case), D))
    positions = torch.arange(T, device=device) % positions_in(case)
    return q, k, v, cos, sin, positions, *rest


def positions_in(case: Case) -> int:
    """How far each of the texts reaches whose tokens are written."""
    return -(-case.shape["T"] // TEXTS)


def signed_angles(length: int, width: int) -> tuple[Tensor, Tensor]:
    """cos and sin (length, D) float32, the first half of the sine with a minus: x · cos + roll(x, D / 2) · sin turns x."""
    speeds = ROPE_THETA ** -(torch.arange(0, width, 2, dtype=torch.float32) / width)
    angles = torch.outer(torch.arange(length, dtype=torch.float32), speeds)
    return angles.cos().repeat(1, 2), torch.cat((-angles.sin(), angles.sin()), dim=-1)


def rotary_call(
    case: Case, name: str, q: Tensor, k: Tensor, v: Tensor, cos: Tensor, sin: Tensor, positions: Tensor,
    k_cache: Tensor, v_cache: Tensor, slots: Tensor,
) -> Callable[[], tuple[Tensor, Tensor, Tensor]]:  # fmt: skip
    """A contestant by name -> the call that returns the turned queries and both caches."""
    k_cache.zero_()
    v_cache.zero_()
    place = (k_cache, v_cache, slots)

    def in_two() -> Tensor:
        turned, keys = ml.kernels.rotary(q, k, cos, sin, positions)
        ml.kernels.kv_write(keys, v, *place)
        return turned

    ways = {
        "triton": partial(_fused, q, k, v, cos, sin, positions, *place),
        "triton in two": in_two,
        "torch": partial(_torch_rotary_write, q, k, v, cos, sin, positions, *place),
    }
    if name == "torch compiled":
        torch.compiler.reset()
        compiled = torch.compile(_torch_rotary_write, dynamic=False)
        ways[name] = partial(compiled, q, k, v, cos, sin, positions, *place)
    return lambda: (ways[name](), k_cache, v_cache)


def rotary_truth(case: Case, operands: tuple[Tensor, ...], random: torch.Generator) -> list[Sample]:
    """A few tokens: their queries, and their keys and values read back."""
    q, k, v, cos, sin, positions, _, _, slots = operands
    rows = sample_rows(case.shape["T"], SAMPLED_ROWS, random)
    angles = [x[positions[rows]][:, None].double() for x in (cos, sin)]
    turned, keys = (_turn(x[rows].double(), *angles) for x in (q, k))
    return [
        Sample(lambda out: out[0][rows], turned),
        Sample(lambda out: out[1].flatten(0, 1)[slots[rows]], keys),
        Sample(lambda out: out[2].flatten(0, 1)[slots[rows]], v[rows].double()),
    ]


def rotary_price(case: Case, element_size: int) -> tuple[None, int]:
    """Queries, keys and values read once and written once; angles once for each position; positions and slots."""
    T, H, G, D = (case.shape[letter] for letter in "THGD")
    return None, (2 * T * (H + 2 * G) + 2 * positions_in(case)) * D * element_size + 16 * T


def _fused(q: Tensor, k: Tensor, v: Tensor, *rest: Tensor) -> Tensor:
    return ml.kernels.rotary_write(q, k, v, *rest)


def _torch_write(k: Tensor, v: Tensor, k_cache: Tensor, v_cache: Tensor, slots: Tensor) -> None:
    k_cache.flatten(0, 1).index_copy_(0, slots, k)
    v_cache.flatten(0, 1).index_copy_(0, slots, v)


def _torch_rotary_write(
    q: Tensor, k: Tensor, v: Tensor, cos: Tensor, sin: Tensor, positions: Tensor,
    k_cache: Tensor, v_cache: Tensor, slots: Tensor,
) -> Tensor:  # fmt: skip
    cos, sin = cos[positions][:, None], sin[positions][:, None]
    _torch_write(_turn(k, cos, sin), v, k_cache, v_cache, slots)
    return _turn(q, cos, sin)


def _turn(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, dims=-1), sin)
