"""Merge attention to parts of the keys into attention to all of them.

Attention to a part is an average of its values and the log of its weight. Averages of parts merge by their weights, in
any order and in any grouping, so keys may be split over programs, over cached prefixes or over machines, and nobody has
to see them all.

One query row, three lines:

    lse = log(sum(exp(lse_i)))
    w_i = exp(lse_i - lse)                 0 for a part that saw nothing: its lse is -inf
    out = sum(w_i * out_i)
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy

States = torch.Tensor | Sequence[torch.Tensor]


def naive_merge_states(outs: States, lses: States) -> tuple[torch.Tensor, torch.Tensor]:
    """outs n of (B, L, H, D), lses n of (B, H, L), as lists or stacked -> out (B, L, H, D) and lse (B, H, L).

    Differentiable, and float64 stays float64; narrower outs are widened to float32 and rounded once. Parts that saw
    nothing have no weight, whatever their out holds, and where all saw nothing the result is 0 and -inf. Raises
    InvalidType or InvalidValue. Source: Dao et al., "Flash-Decoding" (2023); the law is that of log-sum-exp.
    """
    stacked, logs = stack_states(outs, lses)
    working = torch.float64 if stacked.dtype == torch.float64 else torch.float32
    logs = logs.to(working)
    highest = logs.detach().amax(0)
    highest = highest.masked_fill(highest == -math.inf, 0.0)
    weights = torch.exp(logs - highest)  # (n, B, H, L)
    total = weights.sum(0)
    blind = total == 0
    total = total.masked_fill(blind, 1.0)
    shares = (weights / total).transpose(2, 3)[..., None]  # (n, B, L, H, 1)
    values = stacked.to(working).masked_fill(shares == 0, 0.0)
    out = (shares * values).sum(0).to(stacked.dtype)
    return out, (highest + total.log()).masked_fill(blind, -math.inf)


def stack_states(outs: States, lses: States) -> tuple[torch.Tensor, torch.Tensor]:
    """The parts as outs (n, B, L, H, D) and lses (n, B, H, L), checked against each other; what is stacked stays as it is.

    Raises InvalidType for what is no tensor of floats, InvalidValue for no parts and for shapes that differ.
    """
    stacked = _stack("outs", outs, "(B, L, H, D)", 4)
    logs = _stack("lses", lses, "(B, H, L)", 3)
    if stacked.shape[0] != logs.shape[0]:
        found = f"{stacked.shape[0]} and {logs.shape[0]}"
        raise InvalidValue(rule_numbers_remedy("outs and lses must have as many parts", found, "pass one lse an out"))
    _, B, L, H, _ = stacked.shape
    if logs.shape[1:] != (B, H, L):
        found = f"{tuple(logs.shape[1:])} for out {tuple(stacked.shape[1:])}"
        remedy = "pass the lse that came with each out; its heads are before its rows"
        raise InvalidValue(rule_numbers_remedy("each lse must have shape (B, H, L)", found, remedy))
    if stacked.device != logs.device:
        found = f"{stacked.device} and {logs.device}"
        raise InvalidValue(rule_numbers_remedy("outs and lses must be on one device", found, "move them with .to()"))
    if logs.dtype not in (torch.float32, torch.float64):
        rule = "lses must be float32, or float64: a rounded log is a wrong weight"
        raise InvalidType(rule_numbers_remedy(rule, str(logs.dtype), "keep them as attention returned them"))
    return stacked, logs


def _stack(name: str, parts: States, letters: str, rank: int) -> torch.Tensor:
    if isinstance(parts, torch.Tensor):
        stacked = parts
    else:
        if not isinstance(parts, Sequence) or not all(isinstance(part, torch.Tensor) for part in parts):
            rule = f"{name} must be a list of tensors {letters}, or one tensor of them stacked"
            raise InvalidType(rule_numbers_remedy(rule, type(parts).__name__, "pass [part, part, …]"))
        kinds = {(tuple(part.shape), part.dtype, str(part.device)) for part in parts}
        if len(kinds) > 1:
            found = " and ".join(f"{shape} {dtype} on {device}" for shape, dtype, device in sorted(kinds, key=str))
            raise InvalidValue(rule_numbers_remedy(f"all {name} must be alike", found, "convert or cut the odd one"))
        if any(part.layout is not torch.strided or part.is_nested for part in parts):
            raise InvalidType(rule_numbers_remedy(f"{name} must be dense", "another layout", "use .to_dense()"))
        if not parts:
            raise InvalidValue(
                rule_numbers_remedy(f"{name} must hold at least one part", "none", "pass the one you have")
            )
        stacked = torch.stack(list(parts))
    if stacked.dim() != rank + 1 or not stacked.shape[0]:
        rule = f"{name} must be parts {letters}, stacked along a first axis if they are one tensor"
        raise InvalidValue(
            rule_numbers_remedy(rule, str(tuple(stacked.shape)), "pass a list, or torch.stack the parts")
        )
    if not stacked.is_floating_point():
        raise InvalidType(
            rule_numbers_remedy(f"{name} must hold floating-point numbers", str(stacked.dtype), "use .float()")
        )
    return stacked
