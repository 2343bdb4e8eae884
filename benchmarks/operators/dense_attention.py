"""Attention of equal lengths, forward and backward: our forms beside every fused call that torch has.

Layout is ours, (B, L, H, D); torch's calls get transposed views, which all of them read where they lie.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from plan import Case
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel
from truth import SAMPLED_ROWS, Sample, attention_gradients, attention_rows, sample_rows

import minillm as ml
from minillm.measure import cost

Call = Callable[[], object]
SDPA = {
    "torch": None,
    "torch flash": SDPBackend.FLASH_ATTENTION,
    "torch cudnn": SDPBackend.CUDNN_ATTENTION,
    "torch efficient": SDPBackend.EFFICIENT_ATTENTION,
}
# Gradients pass through two more rounded dots than outputs, and through a difference of nearly equal numbers.
GRADIENT_SLACK = 4.0


def operands(case: Case, random: torch.Generator) -> tuple[Tensor, ...]:
    """q (B, L, H, D), k and v (B, S, G, D), random; for the backward also dout, like q, and the first three want gradients."""
    B, L, S, H, G, D = (case.shape[letter] for letter in "BLSHGD")
    backward = case.operator == "attention_backward"
    shapes = [(B, L, H, D), (B, S, G, D), (B, S, G, D)] + [(B, L, H, D)] * backward
    made = [torch.randn(shape, generator=random, device=random.device) for shape in shapes]
    made = [x.to(getattr(torch, case.dtype)) for x in made]
    return tuple(x.requires_grad_(backward and index < 3) for index, x in enumerate(made))


def forward_call(case: Case, name: str, q: Tensor, k: Tensor, v: Tensor) -> Call:
    """A contestant by name -> the call that computes attention of these operands."""
    if name in SDPA:
        return partial(_sdpa, q, k, v, case.causal, SDPA[name])
    if name == "torch flex":
        return _flex(q, k, v, case.causal)
    return partial(ml.attention, q, k, v, causal=case.causal, backend=name)


def backward_call(case: Case, name: str, q: Tensor, k: Tensor, v: Tensor, dout: Tensor) -> Call:
    """The same for the gradients of q, k and v alone: the forward runs here, once."""
    out = forward_call(case, name, q, k, v)()
    return lambda: torch.autograd.grad(out, (q, k, v), dout, retain_graph=True)


def forward_truth(case: Case, operands: tuple[Tensor, ...], random: torch.Generator) -> list[Sample]:
    """A few rows of every sequence and all its heads."""
    q, k, v = operands
    samples = []
    for b in range(q.shape[0]):
        rows = sample_rows(q.shape[1], max(4, SAMPLED_ROWS // q.shape[0]), random)
        want = attention_rows(q[b], k[b], v[b], rows, case.causal)
        samples.append(Sample(lambda out, b=b, rows=rows: out[b, rows], want))
    return samples


def backward_truth(case: Case, operands: tuple[Tensor, ...], random: torch.Generator) -> list[Sample]:
    """All three gradients of one key/value head, drawn at random, of one sequence."""
    q, k, v, dout = (x.detach() for x in operands)
    G, per_group = k.shape[2], q.shape[2] // k.shape[2]
    b = int(torch.randint(q.shape[0], (), generator=random, device=random.device))
    g = int(torch.randint(G, (), generator=random, device=random.device))
    heads = slice(g * per_group, (g + 1) * per_group)
    wanted = attention_gradients(q[b, :, heads], k[b, :, g], v[b, :, g], dout[b, :, heads], case.causal)
    places = [(b, slice(None), heads), (b, slice(None), g), (b, slice(None), g)]
    return [
        Sample(lambda grads, i=i, place=place: grads[i][place], want, GRADIENT_SLACK)
        for i, (place, want) in enumerate(zip(places, wanted, strict=True))
    ]


def forward_cost(case: Case, element_size: int) -> tuple[int, int]:
    """Useful FLOPs (a causal mask halves them) and the bytes that no form can avoid."""
    B, L, S, H, G, D = (case.shape[letter] for letter in "BLSHGD")
    flops = cost.attention_flops(B, L, S, H, D, causal=case.causal).useful
    return flops, cost.ideal_attention_bytes(B, L, S, H, G, D, dtype_bytes=element_size).moved


def backward_cost(case: Case, element_size: int) -> tuple[int, int]:
    """Five dots where the forward has two; q, k, v, out and dout read, three gradients written."""
    B, L, S, H, G, D = (case.shape[letter] for letter in "BLSHGD")
    flops = forward_cost(case, element_size)[0] * 5 // 2
    return flops, 4 * (B * L * H + B * S * G) * D * element_size


def _sdpa(q: Tensor, k: Tensor, v: Tensor, causal: bool, backend: SDPBackend | None) -> Tensor:
    # A single query sees every key; torch's causal mask would start it at the first.
    causal = causal and q.shape[1] > 1
    with contextlib.nullcontext() if backend is None else sdpa_kernel(backend):
        out = F.scaled_dot_product_attention(
            *(x.transpose(1, 2) for x in (q, k, v)), is_causal=causal, enable_gqa=q.shape[2] != k.shape[2]
        )
    return out.transpose(1, 2)


def _flex(q: Tensor, k: Tensor, v: Tensor, causal: bool) -> Call:
    from torch.nn.attention.flex_attention import create_block_mask, flex_attention

    # Past a handful of shapes torch stops compiling a function and runs it piece by piece, which would be another contest.
    torch.compiler.reset()
    compiled = torch.compile(flex_attention, dynamic=False)
    mask = create_block_mask(_sees, None, None, q.shape[1], k.shape[1], device=q.device) if causal else None
    turned = [x.transpose(1, 2) for x in (q, k, v)]
    return lambda: compiled(*turned, block_mask=mask, enable_gqa=q.shape[2] != k.shape[2]).transpose(1, 2)


def _sees(b: Tensor, h: Tensor, query: Tensor, key: Tensor) -> Tensor:
    return key <= query
