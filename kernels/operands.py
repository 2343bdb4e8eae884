"""What a dense kernel takes, checked before anything is launched: torch tensors in a dtype it can multiply, off the tape.

A bad argument gets an error that names the rung which can do it; none ever reaches a kernel.
"""

from typing import Any

import torch
from torch.autograd import forward_ad

from minillm.errors import InvalidType, Unsupported, rule_numbers_remedy

DTYPES = (torch.float16, torch.bfloat16, torch.float32)


def require_operand(name: str, x: Any, elsewhere: str) -> None:
    """`x` is a dense tensor of float16, bfloat16 or float32 that needs no gradient; `elsewhere` names what takes others.

    Raises InvalidType for what is no dense tensor of floats, Unsupported for float64 and where a gradient would be lost.
    """
    if not isinstance(x, torch.Tensor):
        kind = type(x).__name__
        raise InvalidType(
            rule_numbers_remedy(f"{name} must be a torch tensor", kind, "convert it with torch.as_tensor")
        )
    if x.dtype not in DTYPES:
        refusal = Unsupported if x.is_floating_point() else InvalidType
        remedy = f"use {elsewhere}, or convert it with {name}.float()"
        raise refusal(rule_numbers_remedy(f"{name} must be float16, bfloat16 or float32", str(x.dtype), remedy))
    if x.layout is not torch.strided or x.is_nested:
        raise InvalidType(rule_numbers_remedy(f"{name} must be dense", str(x.layout), f"use {name}.to_dense()"))
    require_plain(elsewhere, **{name: x})
    if x.requires_grad and torch.is_grad_enabled():
        rule = "this kernel has no backward pass, so gradients would be lost"
        remedy = f"use {elsewhere}, {name}.detach() or torch.no_grad()"
        raise Unsupported(rule_numbers_remedy(rule, f"{name} with requires_grad=True", remedy))


def require_plain(elsewhere: str, **tensors: torch.Tensor | None) -> None:
    """Raise Unsupported for tensors that carry a tangent or stand for many: a kernel would see the numbers and lose the rest."""
    for name, x in tensors.items():
        if x is None:
            continue
        if torch._C._functorch.is_functorch_wrapped_tensor(x):
            rule = "torch.func's grad, jvp and vmap cannot look into a kernel"
            raise Unsupported(rule_numbers_remedy(rule, f"{name} inside one of them", f"use {elsewhere} there"))
        if forward_ad.unpack_dual(x).tangent is not None:
            rule = "kernels have no forward-mode derivatives, so a tangent would be lost"
            raise Unsupported(rule_numbers_remedy(rule, f"{name} with a tangent", f"use {elsewhere}"))
