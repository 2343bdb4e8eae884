"""How many floating-point operations one torch operation spends in dot products.

A dot of (m, k) with (k, n) is m·n·k multiplications and as many additions: 2mnk. Only dots are counted, as they are
issued, masked or padded elements included; an exponential or an addition per element is not what a tensor core does.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch._ops import OpOverload
from torch.utils.flop_counter import flop_registry

aten = torch.ops.aten


def dot_flops(op: OpOverload, args: tuple, kwargs: dict, result: object) -> int:
    """FLOPs of `op(*args, **kwargs) -> result`: 2mnk per dot as issued, 0 for anything that is not a dot.

    torch's own registry knows matrix products, convolutions and the GPU attention kernels; vector products and the CPU
    attention kernel are added here.
    """
    formula = _OURS.get(op.overloadpacket)
    if formula is not None:
        return formula(*args)
    registered = flop_registry.get(op.overloadpacket)
    return 0 if registered is None else int(registered(*args, **kwargs, out_val=result))


def _matrix_vector(matrix: Tensor, vector: Tensor, *_: object) -> int:
    return 2 * matrix.numel()


def _added_matrix_vector(_added: Tensor, matrix: Tensor, *_: object) -> int:
    return 2 * matrix.numel()


def _added_batches(_added: Tensor, left: Tensor, right: Tensor, *_: object) -> int:
    return 2 * left.numel() * right.shape[-1]


def _attention(q: Tensor, k: Tensor, v: Tensor, *_: object) -> int:
    """q (B, H, L, D), k (B, G, S, D), v (B, G, S, E): two dots for each of the B·H·L·S pairs."""
    pairs = q[..., 0].numel() * k.shape[-2]
    return 2 * pairs * (q.shape[-1] + v.shape[-1])


def _attention_backward(_grad: Tensor, q: Tensor, k: Tensor, v: Tensor, *_: object) -> int:
    """Five dots for each pair: the scores again, their gradient, and the gradients of q, k and v."""
    pairs = q[..., 0].numel() * k.shape[-2]
    return 2 * pairs * (3 * q.shape[-1] + 2 * v.shape[-1])


_OURS: dict[object, Callable[..., int]] = {
    aten.dot: _matrix_vector,
    aten.vdot: _matrix_vector,
    aten.mv: _matrix_vector,
    aten.addmv: _added_matrix_vector,
    aten.addmv_: _added_matrix_vector,
    aten.addbmm: _added_batches,
    aten.addbmm_: _added_batches,
    aten._addmm_activation: _added_batches,
    aten.addmm_: _added_batches,
    aten.baddbmm_: _added_batches,
    aten._int_mm: lambda left, right, *_: 2 * left.numel() * right.shape[-1],
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}
