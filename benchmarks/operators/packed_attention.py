"""Attention of sequences packed end to end, forward: our kernel beside torch's own for variable lengths."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial

import torch
from plan import Case
from torch import Tensor
from truth import SAMPLED_ROWS, Sample, attention_rows, sample_rows

import minillm as ml
from minillm.measure import cost


def sequence_lengths(case: Case) -> list[int]:
    """T tokens over B sequences, all alike, or growing from short to long in equal steps."""
    B, T = case.shape["B"], case.shape["T"]
    weights = range(1, B + 1) if case.options["lengths"] == "uneven" else [1] * B
    ends = [T * sum(weights[: i + 1]) // sum(weights) for i in range(B)]
    return [end - start for start, end in zip([0, *ends], ends, strict=False)]


def operands(case: Case, random: torch.Generator) -> tuple[Tensor, ...]:
    """q (T, H, D), k and v (T, G, D), random, and where sequences start and end (B + 1,)."""
    T, H, G, D = (case.shape[letter] for letter in "THGD")
    made = [torch.randn(T, heads, D, generator=random, device=random.device) for heads in (H, G, G)]
    ends = torch.tensor([0, *sequence_lengths(case)]).cumsum(0).to(random.device, torch.int32)
    return (*(x.to(getattr(torch, case.dtype)) for x in made), ends)


def call(case: Case, name: str, q: Tensor, k: Tensor, v: Tensor, ends: Tensor) -> Callable[[], object]:
    """A contestant by name -> the call that computes attention of these operands."""
    longest = max(sequence_lengths(case))
    if name == "triton":
        return partial(
            ml.kernels.flash_attention_varlen, q, k, v, ends, ends, longest, longest, causal=case.causal
        )  # fmt: skip
    from torch.nn.attention.varlen import varlen_attn

    # Older releases say `is_causal`, newer ones a window without keys to the right.
    newer = "window_size" in inspect.signature(varlen_attn).parameters
    mask = {"window_size": (-1, 0 if case.causal else -1)} if newer else {"is_causal": case.causal}
    return partial(varlen_attn, q, k, v, ends, ends, longest, longest, **mask)


def truth(case: Case, operands: tuple[Tensor, ...], random: torch.Generator) -> list[Sample]:
    """A few rows of every sequence and all its heads."""
    q, k, v, _ = operands
    samples, start = [], 0
    for length in sequence_lengths(case):
        one = slice(start, start + length)
        rows = sample_rows(length, max(4, SAMPLED_ROWS // case.shape["B"]), random)
        want = attention_rows(q[one], k[one], v[one], rows, case.causal)
        samples.append(Sample(lambda out, picked=rows + start: out[picked], want))
        start += length
    return samples


def price(case: Case, element_size: int) -> tuple[int, int]:
    """Useful FLOPs summed over the sequences, and the bytes that no form can avoid."""
    T, H, G, D = (case.shape[letter] for letter in "THGD")
    flops = sum(cost.attention_flops(1, n, n, H, D, causal=case.causal).useful for n in sequence_lengths(case))
    return flops, 2 * T * (H + G) * D * element_size
