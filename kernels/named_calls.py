"""The kernels by name, each with an example call of a realistic size, for who wants to look at one from a terminal.

The calls are made on "meta" tensors, which have shapes and no memory: nothing is computed, only compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from minillm import kernels
from minillm.errors import unknown_name
from minillm.measure.numbers import require_whole

DTYPES = {"fp16": torch.float16, "bf16": torch.bfloat16, "fp32": torch.float32}
Call = Callable[[], Any]


@dataclass(frozen=True)
class Example:
    """What a named call is made with. Attention shapes: B 4, L = S 4096, H 32, G 8."""

    dtype: str = "bf16"
    head_dim: int = 128
    causal: bool = False

    def empty(self, *shape: int, dtype: torch.dtype | None = None) -> torch.Tensor:
        return torch.empty(shape, dtype=dtype or DTYPES[self.dtype], device="meta")

    def qkv(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """q (B, L, H, D), k and v (B, S, G, D)."""
        q, k = self.empty(4, 4096, 32, self.head_dim), self.empty(4, 4096, 8, self.head_dim)
        return q, k, torch.empty_like(k)


def _flash_attention(example: Example) -> Call:
    return partial(kernels.flash_attention, *example.qkv(), causal=example.causal)


def _flash_attention_varlen(example: Example) -> Call:
    q, k, v = (x.flatten(0, 1) for x in example.qkv())  # (T, H, D), (T, G, D)
    ends = example.empty(5, dtype=torch.int32)
    return partial(kernels.flash_attention_varlen, q, k, v, ends, ends, 4096, 4096, causal=example.causal)


def _flash_backward(example: Example) -> Call:
    from minillm.kernels.flash_backward import flash_backward

    q, k, v = example.qkv()
    lse = example.empty(4, 32, 4096, dtype=torch.float32)
    return partial(flash_backward, torch.empty_like(q), q, k, v, torch.empty_like(q), lse, causal=example.causal)


def _flash_decode(example: Example) -> Call:
    """One new token for each of 4 texts in a slab of 8192: few programs, so their keys are split and merged."""
    q, k = example.empty(4, 32, example.head_dim), example.empty(4, 8192, 8, example.head_dim)
    return partial(kernels.flash_decode, q, k, torch.empty_like(k), example.empty(4, dtype=torch.int32))


def _merge_states(example: Example) -> Call:
    q, _, _ = example.qkv()
    lse = example.empty(4, 32, 4096, dtype=torch.float32)
    return partial(kernels.merge_states, [q, q], [lse, lse])


def _paged_attention(example: Example) -> Call:
    """One new token for each of 64 texts of up to 8192 tokens, whose cache lies in blocks of 16."""
    B, blocks = 64, 8192 // 16
    cache = [example.empty(B * blocks, 16, 8, example.head_dim) for _ in range(2)]
    shapes = ((B, blocks), (B,), (B + 1,))
    tables = [example.empty(*shape, dtype=torch.int32) for shape in shapes]
    return partial(kernels.paged_attention, example.empty(B, 32, example.head_dim), *cache, *tables, 1)


def _kv_write(example: Example) -> Call:
    """16,384 new tokens of 8 KV heads into a cache of 2,048 blocks of 16."""
    return partial(kernels.kv_write, *_new_tokens(example)[1:], *_slots(example))


def _rotary(example: Example) -> Call:
    q, k, _ = _new_tokens(example)
    return partial(kernels.rotary, q, k, *_turns(example))


def _rotary_write(example: Example) -> Call:
    return partial(kernels.rotary_write, *_new_tokens(example), *_turns(example), *_slots(example))


def _new_tokens(example: Example) -> list[torch.Tensor]:
    """q (T, H, D), k and v (T, G, D)."""
    return [example.empty(16384, heads, example.head_dim) for heads in (32, 8, 8)]


def _turns(example: Example) -> list[torch.Tensor]:
    """cos and sin (max_pos, D), positions (T,)."""
    table = [example.empty(8192, example.head_dim, dtype=torch.float32) for _ in range(2)]
    return [*table, example.empty(16384, dtype=torch.int64)]


def _slots(example: Example) -> list[torch.Tensor]:
    """k_cache and v_cache (num_blocks, P, G, D), slot_mapping (T,)."""
    cache = [example.empty(2048, 16, 8, example.head_dim) for _ in range(2)]
    return [*cache, example.empty(16384, dtype=torch.int64)]


def _softmax(example: Example) -> Call:
    return partial(kernels.softmax, example.empty(16384, 8192))


def _matmul(example: Example) -> Call:
    return partial(kernels.matmul, example.empty(8192, 8192), example.empty(8192, 8192))


NAMED_CALLS: dict[str, Callable[[Example], Call]] = {
    "flash_attention": _flash_attention,
    "flash_attention_varlen": _flash_attention_varlen,
    "flash_backward": _flash_backward,
    "flash_decode": _flash_decode,
    "kv_write": _kv_write,
    "merge_states": _merge_states,
    "paged_attention": _paged_attention,
    "rotary": _rotary,
    "rotary_write": _rotary_write,
    "softmax": _softmax,
    "matmul": _matmul,
}


def named_call(name: str, *, dtype: str = "bf16", head_dim: int = 128, causal: bool = False) -> Call:
    """A kernel's name -> a call without arguments that would launch it; raises InvalidValue for an unknown name, dtype or width."""
    if name not in NAMED_CALLS:
        raise unknown_name("kernel", name, NAMED_CALLS)
    if dtype not in DTYPES:
        raise unknown_name("dtype", dtype, DTYPES)
    require_whole(head_dim=head_dim)
    return NAMED_CALLS[name](Example(dtype, head_dim, causal))
