"""What a backward of attention accepts: everything its forward does, and what that forward gave back.

Gradients of a call are only right for that call's own output and lse, so their shapes and dtypes are checked against it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from minillm.attention.validate import validate
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy


def check_backward(
    dout: Tensor,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    out: Tensor,
    lse: Tensor,
    causal: bool,
    window: int | None,
    softcap: float,
    sinks: Tensor | None,
    scale: float | None,
    dlse: Tensor | None,
) -> None:
    """Check one call of a backward: what attention checks, out and dout (B, L, H, D), and lse and dlse (B, H, L).

    Raises InvalidType for the wrong kind of thing or dtype, InvalidValue for the wrong shape or device.
    """
    validate(q, k, v, causal, window, softcap, sinks, scale)
    B, L, H, _ = q.shape
    state = torch.float64 if q.dtype == torch.float64 else torch.float32
    like_q = (tuple(q.shape), q.dtype, "as the forward returned it, or its gradient")
    like_lse = ((B, H, L), state, "as the forward returns it with return_lse=True, or its gradient")
    for name, x, (shape, dtype, remedy) in (
        ("dout", dout, like_q),
        ("out", out, like_q),
        ("lse", lse, like_lse),
        ("dlse", lse if dlse is None else dlse, like_lse),
    ):
        if not isinstance(x, Tensor):
            raise InvalidType(
                rule_numbers_remedy(f"{name} must be a torch tensor", type(x).__name__, f"pass it {remedy}")
            )
        if x.dtype != dtype:
            raise InvalidType(rule_numbers_remedy(f"{name} must be {dtype}", str(x.dtype), f"pass it {remedy}"))
        if tuple(x.shape) != shape or x.device != q.device:
            rule, numbers = f"{name} must have shape {shape} on {q.device}", f"{tuple(x.shape)} on {x.device}"
            raise InvalidValue(rule_numbers_remedy(rule, numbers, f"pass it {remedy}"))
