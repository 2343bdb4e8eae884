"""One new token a text against all that the text has kept: our kernel beside every way torch has of asking for it.

Torch can be told that query heads share key heads, or be handed the query heads of a key head as rows of one head, which
is what our kernel does inside; it has a compiled form and one for packed lengths besides.
"""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from dense_attention import SDPA
from plan import Case
from torch import Tensor
from torch.nn.attention import sdpa_kernel
from truth import Sample, attention_rows, sample_rows

import minillm as ml
from minillm.measure import cost

Call = Callable[[], object]
SAMPLED_TEXTS = 8


def kept_lengths(case: Case) -> list[int]:
    """Keys of each of B texts: S, or growing up to S in equal steps."""
    B, S = case.shape["B"], case.shape["S"]
    if case.options.get("lengths") != "uneven":
        return [S] * B
    return [max(1, S * (b + 1) // B) for b in range(B)]


def operands(case: Case, random: torch.Generator) -> tuple[Tensor, ...]:
    """q (B, H, D), k and v (B, S, G, D), random, and how many keys each text has kept (B,)."""
    B, S, H, G, D = (case.shape[letter] for letter in "BSHGD")
    dtype = getattr(torch, case.dtype)
    q, k, v = (
        torch.randn(shape, generator=random, device=random.device).to(dtype)
        for shape in ((B, H, D), (B, S, G, D), (B, S, G, D))
    )
    return q, k, v, torch.tensor(kept_lengths(case), dtype=torch.int32, device=random.device)


def call(case: Case, name: str, q: Tensor, k: Tensor, v: Tensor, lens: Tensor) -> Call:
    """A contestant by name -> the call that decodes with these operands.

    "triton 8 splits" is ours with that many runs of keys, "triton per head" ours that gives every query head a program.
    """
    if name == "triton per head":
        return lambda: ml.kernels.flash_attention(q[:, None], k, v)[:, 0]
    if name.startswith("triton"):
        splits = int(name.split()[1]) if name != "triton" else None
        return partial(ml.kernels.flash_decode, q, k, v, lens, num_splits=splits)
    if name == "torch flex":
        return _flex(q, k, v)
    if name == "torch varlen":
        return _varlen(q, k, v, lens)
    _, way, *backend = name.split()
    seen = own_keys(case, lens)
    ask = {"gqa": _ask_shared, "rows": _ask_rows}[way]
    return partial(_sdpa, ask, q, k, v, seen, SDPA[" ".join(["torch", *backend])])


def truth(case: Case, operands: tuple[Tensor, ...], random: torch.Generator) -> list[Sample]:
    """All heads of a few texts."""
    q, k, v, _ = operands
    lengths, samples = kept_lengths(case), []
    for b in sample_rows(len(lengths), SAMPLED_TEXTS, random).tolist():
        only = torch.zeros(1, dtype=torch.int64, device=q.device)
        want = attention_rows(q[b, None], k[b, : lengths[b]], v[b, : lengths[b]], only, False)[0]
        samples.append(Sample(lambda out, b=b: out[b], want))
    return samples


def price(case: Case, element_size: int) -> tuple[None, int]:
    """Every kept key and value read once, whatever shares them; the products are too few to be counted."""
    H, G, D = (case.shape[letter] for letter in "HGD")
    return None, sum(
        cost.ideal_attention_bytes(1, 1, n, H, G, D, dtype_bytes=element_size).moved for n in kept_lengths(case)
    )


def own_keys(case: Case, lens: Tensor) -> Tensor | None:
    """(B, 1, 1, S): which keys are a text's own; none is needed where all texts are of one length."""
    if case.options.get("lengths") != "uneven":
        return None
    return (torch.arange(case.shape["S"], device=lens.device) < lens[:, None])[:, None, None]


def known_options(function: Callable, **wanted: Any) -> dict[str, Any]:
    """Of these keywords those that the installed release of torch knows."""
    known = inspect.signature(function).parameters
    return {name: value for name, value in wanted.items() if name in known}


def _sdpa(ask: Callable, q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None, backend: Any) -> Tensor:
    with contextlib.nullcontext() if backend is None else sdpa_kernel(backend):
        return ask(q, k.transpose(1, 2), v.transpose(1, 2), seen)


def _ask_shared(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None) -> Tensor:
    """q (B, H, D), k and v (B, G, S, D): H heads of one row, and torch told that they share."""
    return F.scaled_dot_product_attention(q[:, :, None], k, v, attn_mask=seen, enable_gqa=True)[:, :, 0]


def _ask_rows(q: Tensor, k: Tensor, v: Tensor, seen: Tensor | None) -> Tensor:
    """The same as G heads of H / G rows each, so that torch's tile holds the whole group."""
    rows = q.unflatten(1, (k.shape[1], -1))
    return F.scaled_dot_product_attention(rows, k, v, attn_mask=seen).flatten(1, 2)


def _flex(q: Tensor, k: Tensor, v: Tensor) -> Call:
    from torch.nn.attention.flex_attention import flex_attention

    torch.compiler.reset()
    compiled = torch.compile(flex_attention, dynamic=False)
    turned = q[:, :, None], k.transpose(1, 2), v.transpose(1, 2)
    return lambda: compiled(*turned, enable_gqa=q.shape[1] != k.shape[2])[:, :, 0]


def _varlen(q: Tensor, k: Tensor, v: Tensor, lens: Tensor) -> Call:
    """Torch's call for packed lengths: each text's slab is its sequence, and only its first keys count."""
    from torch.nn.attention.varlen import varlen_attn

    B, S = k.shape[:2]
    ends_q, ends_k = (torch.arange(B + 1, device=q.device, dtype=torch.int32) * step for step in (1, S))
    options = known_options(varlen_attn, seqused_k=lens, enable_gqa=True)
    if "seqused_k" not in options:
        raise NotImplementedError("this release's varlen_attn takes no slab that is longer than its text")
    return partial(varlen_attn, q, k.flatten(0, 1), v.flatten(0, 1), ends_q, ends_k, 1, S, **options)
