"""How many floating-point operations one torch operation spends in dot products.

A dot of (m, k) with (k, n) is m·n·k multiplications and as many additions: 2mnk. Only dots are counted, as they are
issued, masked or padded elements included; an exponential or an addition per element is not what a tensor core does.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch._ops import OpOverload

aten = torch.ops.aten

# Products of x (…, k) with a weight that a library has packed; looked up by name, as not every torch has them.
_WITH_PACKED_WEIGHT = {"mkldnn::_linear_pointwise", "quantized::linear_dynamic_fp16"}

# torch keeps formulas for the rest, but fetching them imports Triton: only an operation with such a name is worth it.
_IN_TORCH_REGISTRY = ("convolution", "conv2d", "attention", "scaled_mm")


def dot_flops(op: OpOverload, args: tuple, kwargs: dict, result: object) -> int:
    """FLOPs of `op(*args, **kwargs) -> result`: 2mnk per dot as issued, 0 for anything that is not a dot.

    Matrix and vector products and the CPU attention kernel have their formulas here; convolutions and GPU attention
    kernels theirs in torch's own registry.
    """
    packet = op.overloadpacket
    if packet in _FORMULAS:
        return _FORMULAS[packet](*args)
    if packet._qualified_op_name in _WITH_PACKED_WEIGHT:
        assert isinstance(result, Tensor)
        return 2 * args[0].numel() * result.shape[-1]
    if any(part in packet.__name__ for part in _IN_TORCH_REGISTRY):
        from torch.utils.flop_counter import flop_registry

        formula = flop_registry.get(packet)
        return 0 if formula is None else int(formula(*args, **kwargs, out_val=result))
    return 0


def _product(left: Tensor, right: Tensor, *_: object) -> int:
    """left (..., m, k), right (..., k, n); a vector on the right is one column."""
    return 2 * left.numel() * (right.shape[-1] if right.dim() > 1 else 1)


def _added_product(_added: Tensor, left: Tensor, right: Tensor, *_: object) -> int:
    return _product(left, right)


def _attention(q: Tensor, k: Tensor, v: Tensor, *_: object) -> int:
    """q (B, H, L, D), k (B, G, S, D), v (B, G, S, E): two dots for each of the B·H·L·S pairs."""
    pairs = q[..., 0].numel() * k.shape[-2]
    return 2 * pairs * (q.shape[-1] + v.shape[-1])


def _attention_backward(_grad: Tensor, q: Tensor, k: Tensor, v: Tensor, *_: object) -> int:
    """Five dots for each pair: the scores again, their gradient, and the gradients of q, k and v."""
    pairs = q[..., 0].numel() * k.shape[-2]
    return 2 * pairs * (3 * q.shape[-1] + 2 * v.shape[-1])


_PRODUCTS = [aten.mm, aten.bmm, aten.mv, aten.dot, aten.vdot, aten._int_mm]
_ADDED_PRODUCTS = [aten.addmm, aten.addmm_, aten._addmm_activation, aten.addmv, aten.addmv_]
_ADDED_PRODUCTS += [aten.baddbmm, aten.baddbmm_, aten.addbmm, aten.addbmm_]

_FORMULAS: dict[object, Callable[..., int]] = {
    **dict.fromkeys(_PRODUCTS, _product),
    **dict.fromkeys(_ADDED_PRODUCTS, _added_product),
    aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}
