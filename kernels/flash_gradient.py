"""How torch's autograd comes to flash attention's gradients: what a call keeps, and who is asked when a loss wants them.

Autograd records an operation with the tensors that its backward needs. Here those are the inputs, the output and the lse;
`flash_backward` recomputes the rest. It is an operation of its own, so that a gradient of a gradient can be refused.
"""

from dataclasses import asdict, dataclass
from typing import Any

import torch

from minillm.errors import Unsupported, rule_numbers_remedy
from minillm.kernels.attention_tiles import Tiles
from minillm.kernels.flash_attention import attend
from minillm.kernels.flash_backward import flash_backward


@dataclass(frozen=True)
class _Options:
    """The options of one call that forward and backward must agree on."""

    causal: bool
    window: int | None
    softcap: float
    scale: float | None


def attend_with_gradient(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    causal: bool,
    window: int | None,
    softcap: float,
    sinks: torch.Tensor | None,
    scale: float | None,
    tiles: Tiles | None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`attend` whose out (B, L, H, D) and lse (B, H, L) remember q, k, v and sinks; `tiles` are the forward's.

    What it keeps for the backward is q, k, v, out and lse (and sinks): nothing of size L x S. Raises Unsupported for
    tensors made under torch.inference_mode, which cannot be kept.
    """
    if any(x is not None and x.is_inference() for x in (q, k, v, sinks)):
        rule = "torch cannot keep a tensor of inference_mode for a backward"
        raise Unsupported(
            rule_numbers_remedy(rule, "one with gradients wanted", "pass its .clone(), or use torch.no_grad()")
        )
    return _FlashAttention.apply(q, k, v, sinks, _Options(causal, window, softcap, scale), tiles)


class _FlashAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Any, k: Any, v: Any, sinks: Any, options: _Options, tiles: Tiles | None) -> Any:
        out, lse = attend(q, k, v, options.causal, options.window, options.softcap, sinks, options.scale, tiles)
        ctx.save_for_backward(q, k, v, sinks, out, lse)
        ctx.options = options
        ctx.set_materialize_grads(False)  # an lse that the loss does not use has no gradient, rather than zeros to read
        return out, lse

    @staticmethod
    def backward(ctx: Any, dout: Any, dlse: Any) -> Any:
        q, k, v, sinks, out, lse = ctx.saved_tensors
        if dout is None:
            dout = torch.zeros_like(out)
        return (*_Gradients.apply(dout, q, k, v, sinks, out, lse, dlse, ctx.options), None, None)


class _Gradients(torch.autograd.Function):
    """The gradients as an operation of their own, so that differentiating them can be refused in words."""

    @staticmethod
    def forward(
        ctx: Any, dout: Any, q: Any, k: Any, v: Any, sinks: Any, out: Any, lse: Any, dlse: Any, options: _Options
    ) -> Any:
        gradients = flash_backward(dout, q, k, v, out, lse, sinks=sinks, dlse=dlse, **asdict(options))
        return gradients if sinks is not None else (*gradients, None)

    @staticmethod
    def backward(ctx: Any, *_: Any) -> Any:
        raise Unsupported(
            "flash attention can be differentiated once; got a gradient of its gradient; "
            "use backend='naive' or 'tiled', which torch differentiates as often as you like."
        )
