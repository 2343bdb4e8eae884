"""What attention accepts, said once: shapes, kinds and ranges, checked before any work is done.

Every rung trusts its arguments because they passed through here. A good call costs a few microseconds; a bad one gets
an error that states the rule, the numbers that broke it and what to do instead.
"""

from __future__ import annotations

import math
import numbers

import torch

from minillm.errors import InvalidType, InvalidValue, nearest_divisors, rule_numbers_remedy

FLOATS = (torch.float32, torch.bfloat16, torch.float16, torch.float64)
# Positions are 64-bit: a window beyond this could wrap around. Scores are float32: a number beyond that gives infinities.
WIDEST_WINDOW = 2**62
LARGEST_FACTOR = 1e30


def validate(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    causal: bool = False,
    window: int | None = None,
    softcap: float = 0.0,
    sinks: torch.Tensor | None = None,
    scale: float | None = None,
    return_lse: bool = False,
) -> None:
    """Check one call of attention: q (B, L, H, D), k and v (B, S, G, D), sinks (H,) and the options.

    Raises InvalidType for the wrong kind of thing (no tensor, integers, mixed dtypes) and InvalidValue for the wrong
    numbers (ranks, sizes, ranges, devices).
    """
    check_tensors(q, k, v)
    check_shapes(tuple(q.shape), tuple(k.shape), tuple(v.shape))
    if causal is not True and causal is not False:
        raise _wrong_type("causal must be True or False", causal, "pass a bool")
    if return_lse is not True and return_lse is not False:
        raise _wrong_type("return_lse must be True or False", return_lse, "pass a bool")
    if window is not None:
        check_window(window)
    # The kind first: an array has no one answer to "is it zero".
    if type(softcap) is not float or softcap != 0.0:
        check_softcap(softcap)
    if scale is not None:
        check_scale(scale)
    if sinks is not None:
        check_sinks(sinks, q)


def check_tensors(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> None:
    """q, k and v are dense floating-point tensors of one dtype on one device."""
    for name, x in (("q", q), ("k", k), ("v", v)):
        if not isinstance(x, torch.Tensor):
            raise _wrong_type(f"{name} must be a torch tensor", x, "convert it with torch.as_tensor")
        if x.dtype not in FLOATS:
            raise _refuse_type(
                f"{name} must hold floating-point numbers (float64, float32, bfloat16 or float16)",
                str(x.dtype),
                f"convert it, e.g. {name}.float()",
            )
        if x.layout is not torch.strided or x.is_nested:
            raise _refuse_type(f"{name} must be a dense tensor", str(x.layout), "use .to_dense() or pad the batch")
    if not q.dtype == k.dtype == v.dtype:
        raise _refuse_type(
            "q, k and v must share one dtype", f"{q.dtype}, {k.dtype}, {v.dtype}", "convert them with .to(q.dtype)"
        )
    if not q.device == k.device == v.device:
        raise _refuse_value(
            "q, k and v must be on one device", f"{q.device}, {k.device}, {v.device}", "move them with .to(q.device)"
        )


def check_shapes(q: tuple[int, ...], k: tuple[int, ...], v: tuple[int, ...]) -> None:
    """The shapes of q (B, L, H, D), k (B, S, G, D) and v (B, S, G, D) agree, and G divides H."""
    for name, shape, letters in (("q", q, "(B, L, H, D)"), ("k", k, "(B, S, G, D)"), ("v", v, "(B, S, G, D)")):
        if len(shape) != 4:
            raise _refuse_value(
                f"{name} must have 4 dimensions {letters}", f"{len(shape)}: {shape}", "add a batch axis with x[None]"
            )
    if k != v:
        raise _refuse_value("k and v must have the same shape (B, S, G, D)", f"{k} and {v}", "cut or pad one of them")
    B, _, H, D = q
    key_batch, _, G, key_width = k
    if key_batch != B:
        raise _refuse_value("q and k must have the same batch size B", f"{B} and {key_batch}", "use .expand on axis 0")
    if key_width != D:
        raise _refuse_value("q and k must have the same head width D", f"{D} and {key_width}", "project both to one D")
    if D < 1 or H < 1 or G < 1:
        raise _refuse_value("H, G and D must be at least 1", f"H={H}, G={G}, D={D}", "check how the heads were split")
    if H % G:
        raise _refuse_value(
            "num_heads H must be a multiple of num_kv_heads G",
            f"{H} and {G}",
            f"nearest valid G: {nearest_divisors(H, G)}; the layout is (batch, length, heads, width), so a tensor "
            "stored heads-first needs .transpose(1, 2)",
        )


def check_window(window: object) -> None:
    """A whole number of keys, at least 1."""
    if isinstance(window, bool) or not isinstance(window, numbers.Integral):
        raise _wrong_type("window must be a whole number of keys, or None", window, "pass an int such as 128")
    if window < 1:
        raise _refuse_value(
            "window must be at least 1 (1 sees only itself)", str(window), "use window=None to see every key"
        )
    if int(window) > WIDEST_WINDOW:
        raise _refuse_value("window must be at most 2**62 keys", str(window), "use window=None to see every key")


def check_softcap(softcap: object) -> None:
    """A finite number, from 0 to 1e30; 0 is no cap."""
    number = _real("softcap", softcap, "use 0.0 for no cap")
    if not math.isfinite(number) or number < 0:
        raise _refuse_value("softcap must be a finite number, 0 or more", str(softcap), "use 0.0 for no cap")
    if number > LARGEST_FACTOR:
        raise _refuse_value(f"softcap must be at most {LARGEST_FACTOR:g}", f"{number:g}", "use 0.0 for no cap")


def check_scale(scale: object) -> None:
    """A finite number, from -1e30 to 1e30."""
    number = _real("scale", scale, "use None for 1/sqrt(D)")
    if not math.isfinite(number):
        raise _refuse_value("scale must be a finite number", str(scale), "use None for 1/sqrt(D)")
    if abs(number) > LARGEST_FACTOR:
        rule = f"scale must be from {-LARGEST_FACTOR:g} to {LARGEST_FACTOR:g}"
        raise _refuse_value(rule, f"{number:g}", "use None for 1/sqrt(D)")


def check_sinks(sinks: object, q: torch.Tensor) -> None:
    """One floating-point logit a query head, on q's device: (H,). Its dtype may differ from q's."""
    if not isinstance(sinks, torch.Tensor):
        raise _wrong_type("sinks must be a torch tensor (H,)", sinks, "convert it with torch.as_tensor")
    if sinks.dtype not in FLOATS:
        raise _refuse_type("sinks must hold floating-point numbers", str(sinks.dtype), "convert it with .float()")
    H = q.shape[2]
    if tuple(sinks.shape) != (H,):
        raise _refuse_value(
            "sinks must have shape (H,), one logit a query head",
            f"{tuple(sinks.shape)} for H={H}",
            f"pass {H} numbers, e.g. torch.zeros({H})",
        )
    if sinks.device != q.device:
        raise _refuse_value(
            "sinks must be on q's device", f"{sinks.device} and {q.device}", "move it with .to(q.device)"
        )


def check_indices(name: str, x: object, letters: str, *dtypes: torch.dtype) -> None:
    """A dense tensor of whole numbers of one of these dtypes: lengths, positions, slots, tables."""
    if not isinstance(x, torch.Tensor) or x.dtype not in dtypes:
        kind = str(x.dtype) if isinstance(x, torch.Tensor) else type(x).__name__
        kinds = " or ".join(str(dtype).removeprefix("torch.") for dtype in dtypes)
        remedy = f"convert it with torch.as_tensor(x, dtype={dtypes[0]})"
        raise _refuse_type(f"{name} must be an {kinds} tensor {letters}", kind, remedy)
    if x.layout is not torch.strided or x.is_nested:
        raise _refuse_type(f"{name} must be a dense tensor", str(x.layout), "use .to_dense()")


def _real(name: str, value: object, remedy: str) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise _wrong_type(f"{name} must be a number", value, remedy)
    if isinstance(value, numbers.Rational) and not isinstance(value, numbers.Integral):  # torch cannot multiply by one
        raise _wrong_type(f"{name} must be a number, and no fraction", value, f"pass {float(value):g}")
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf  # type: ignore[operator]


def _wrong_type(rule: str, value: object, remedy: str) -> InvalidType:
    return InvalidType(rule_numbers_remedy(rule, f"{type(value).__name__} {value!r:.60}", remedy))


def _refuse_type(rule: str, numbers_: str, remedy: str) -> InvalidType:
    return InvalidType(rule_numbers_remedy(rule, numbers_, remedy))


def _refuse_value(rule: str, numbers_: str, remedy: str) -> InvalidValue:
    return InvalidValue(rule_numbers_remedy(rule, numbers_, remedy))
