"""What a cache lets in: memory of a kind that models compute in, and new tokens that are what it was made for.

Torch is obliging: it spreads one text over all rows, rounds a wider number and counts layers from the end, without a word.
So everything is looked at before the first number is written. And nothing in a cache can be trained: it keeps numbers,
without the way they came about, so a loss that asks for gradients through it is told so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from minillm.attention.validate import FLOATS
from minillm.errors import InvalidType, InvalidValue, Unsupported, rule_numbers_remedy
from minillm.measure.numbers import require_whole


def require_place(dtype: torch.dtype, device: torch.device | str) -> None:
    """Raise InvalidType for a dtype that no model computes in, InvalidValue for a device that torch has not got here."""
    if dtype not in FLOATS:
        rule = f"a cache's dtype is one of {', '.join(map(str, FLOATS))}"
        raise InvalidType(rule_numbers_remedy(rule, repr(dtype), "pass the model's, model.dtype"))
    try:
        torch.empty(0, device=device)
    except (RuntimeError, TypeError, AssertionError):  # torch's words for an unknown name, for no name, and for no CUDA
        rule, remedy = "a cache needs a device that torch has here", "pass the model's, model.device"
        raise InvalidValue(rule_numbers_remedy(rule, repr(device), remedy)) from None


def reserve(shape: tuple[int, ...], dtype: torch.dtype, device: torch.device | str) -> Tensor:
    """Memory of this shape, holding whatever was there: zeroing would make a long reservation real before it is used.

    Like the lengths, never made in inference mode, whoever asks: a pass outside it could not write to it. Raises InvalidValue
    when the machine has no such room. Trusts dtype and device.
    """
    try:
        with torch.inference_mode(False):
            return torch.empty(shape, dtype=dtype, device=device)
    except RuntimeError:  # torch's own word for no memory
        rule = f"keys and values must each fit the memory of {device}"
        nbytes = f"{math.prod(shape) * dtype.itemsize:,} bytes for {tuple(shape)}"
        raise InvalidValue(rule_numbers_remedy(rule, nbytes, "reserve a smaller max_length or batch")) from None


def require_tokens(slab: Tensor, layer: int, k: Tensor, v: Tensor) -> None:
    """slab (N, B, S, G, D): raise unless k and v are both (B, L, G, D) of its dtype, on its device, for one of its layers.

    L is 1 or more. Torch would broadcast one text or one head over all, and round a wider dtype, without a word.
    """
    N, B, _, G, D = slab.shape
    require_tensors(k=k, v=v)
    if k.dim() != 4 or k.shape != v.shape or k.shape[2:] != (G, D) or not k.shape[1]:
        rule = f"k and v must both be (B, L, {G}, {D}), with L of 1 or more"
        raise InvalidValue(rule_numbers_remedy(rule, f"{tuple(k.shape)} and {tuple(v.shape)}", "check the heads"))
    if k.shape[0] != B:
        rule = f"the cache holds {B} texts"
        raise InvalidValue(rule_numbers_remedy(rule, str(k.shape[0]), "make one with new_cache(batch=...)"))
    if not k.dtype == v.dtype == slab.dtype:
        rule = f"the cache holds {slab.dtype}"
        raise InvalidType(rule_numbers_remedy(rule, f"{k.dtype} and {v.dtype}", "make one of that dtype"))
    if not k.device == v.device == slab.device:
        rule = f"the cache is on {slab.device}"
        raise InvalidValue(rule_numbers_remedy(rule, f"{k.device} and {v.device}", "make one on that device"))
    require_layer(layer, N)


def require_queries(q: Tensor, k: Tensor) -> None:
    """k (B, L, G, D), checked: raise unless q is (B, L, H, D) of its dtype, on its device, and G divides H."""
    require_tensors(q=q)
    B, L, G, D = k.shape
    if q.dim() != 4 or (q.shape[0], q.shape[1], q.shape[3]) != (B, L, D):
        rule = f"q must be ({B}, {L}, H, {D}), a query for each new token"
        raise InvalidValue(rule_numbers_remedy(rule, str(tuple(q.shape)), "project q, k and v from the same tokens"))
    if not q.shape[2] or q.shape[2] % G:
        rule = "num_heads H must be a multiple of num_kv_heads G"
        raise InvalidValue(rule_numbers_remedy(rule, f"{q.shape[2]} and {G}", "check how the heads were split"))
    if q.dtype != k.dtype or q.device != k.device:
        rule, found = "q must be where and what k is", f"{q.dtype} on {q.device} beside {k.dtype} on {k.device}"
        raise InvalidType(rule_numbers_remedy(rule, found, "use q.to(k)"))


def require_tensors(**tensors: object) -> None:
    """Raise InvalidType for what is no tensor."""
    for name, x in tensors.items():
        if not isinstance(x, Tensor):
            rule = f"{name} must be a torch tensor"
            raise InvalidType(rule_numbers_remedy(rule, type(x).__name__, "convert it with torch.as_tensor"))


def require_layer(layer: int, num_layers: int) -> None:
    """Raise InvalidType or InvalidValue unless `layer` is one of 0 … num_layers − 1."""
    if type(layer) is not int or not 0 <= layer < num_layers:
        if type(layer) is not int:
            require_whole(at_least=0, layer=layer)
        rule = f"the cache has layers 0 … {num_layers - 1}"
        raise InvalidValue(rule_numbers_remedy(rule, str(layer), "count them from 0"))


def require_sliding_layers(num_layers: int, sliding_layers: Sequence[int] | None) -> set[int]:
    """-> the layers that slide, at least one and all of them the model's; None stands for all."""
    given = range(num_layers) if sliding_layers is None else sliding_layers
    if not isinstance(given, Sequence) or not all(isinstance(i, int) and not isinstance(i, bool) for i in given):
        rule = "sliding_layers must be whole numbers, or None for all"
        raise InvalidType(rule_numbers_remedy(rule, repr(given), "pass config.sliding_layers"))
    if not given:
        raise InvalidValue("a ring needs a layer with a sliding window; got none; use a ContiguousCache.")
    if not set(given) <= set(range(num_layers)):
        rule = f"sliding_layers lie in 0 … {num_layers - 1}"
        raise InvalidValue(rule_numbers_remedy(rule, str(sorted(given)), "pass config.sliding_layers"))
    return set(given)


def require_room(stop: int, max_length: int) -> None:
    """Raise InvalidValue when a text would grow to `stop` tokens in a cache that reserved `max_length` for it."""
    if stop > max_length:
        raise InvalidValue(f"the cache holds {max_length} tokens; got {stop}; reserve a larger max_length.")


class _NoWayBack(torch.autograd.Function):
    """out, and what it was computed from -> out, which can be computed with but not differentiated."""

    @staticmethod
    def forward(ctx: Any, out: Tensor, *inputs: Tensor) -> Tensor:
        return out.view_as(out)

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> Any:
        rule = "a cache keeps keys and values without the way they were computed"
        raise Unsupported(
            rule_numbers_remedy(rule, "a loss that asks for gradients through it", "train without a cache")
        )


def without_gradient(out: Tensor, *inputs: Tensor) -> Tensor:
    """`out` of attention to a cache; where q, k or v had gradients, a loss that asks for them raises Unsupported."""
    if not (torch.is_grad_enabled() and any(x.requires_grad for x in inputs)):
        return out
    return _NoWayBack.apply(out, *inputs)
