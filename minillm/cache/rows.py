"""Texts of different lengths in one batch: where each row's new tokens go, and which keys each of them may see.

One masked call over the longest row serves them all. What a shorter row does not fill is hidden by the mask, and must still
be a number: attention gives a hidden key the weight 0, and 0 times NaN is NaN.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.attention.sdpa import attend_rows
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_whole


def no_lengths(batch: int) -> Tensor:
    """(batch,) zeros, int64 on the CPU."""
    with torch.inference_mode(False):
        return torch.zeros(batch, dtype=torch.int64)


def common_length(lengths: Tensor) -> int | None:
    """lengths (B,) -> the one length of all rows, or None where they differ."""
    first, *rest = lengths.tolist()
    return first if all(length == first for length in rest) else None


def require_common_length(lengths: Tensor) -> int:
    """`common_length`, or InvalidValue where the rows differ."""
    length = common_length(lengths)
    if length is None:
        rule = "length is for rows of one length"
        raise InvalidValue(rule_numbers_remedy(rule, str(lengths.tolist()), "read lengths, or take row(b)"))
    return length


def shorter_lengths(wanted: int | Sequence[int] | Tensor, lengths: Tensor) -> Tensor:
    """One length for all rows, or one each (B,) -> int64 (B,), each from 0 to what that row of `lengths` (B,) has.

    Raises InvalidType for what is no whole number or no integer tensor, InvalidValue for another count or range.
    """
    have = lengths.tolist()
    if isinstance(wanted, Tensor):
        if wanted.dtype not in (torch.int64, torch.int32) or wanted.dim() > 1 or wanted.is_meta:
            rule, found = "lengths must be an int64 tensor (B,)", f"{tuple(wanted.shape)} {wanted.dtype}"
            found += " on meta, which holds no numbers" if wanted.is_meta else ""
            raise InvalidType(rule_numbers_remedy(rule, found, "pass one a row"))
        wanted = wanted.tolist()
    given = list(wanted) if isinstance(wanted, Sequence) and not isinstance(wanted, str) else [wanted] * len(have)
    if len(given) != len(have):
        rule = f"truncate takes one length for all rows or one for each of {len(have)}"
        raise InvalidValue(rule_numbers_remedy(rule, str(len(given)), "pass one a row"))
    for row, (length, most) in enumerate(zip(given, have, strict=True)):
        if isinstance(length, bool) or not isinstance(length, int):
            raise InvalidType(rule_numbers_remedy("a length must be a whole number", repr(length), "pass an int"))
        if not 0 <= length <= most:
            which = "length" if len(set(have)) == 1 else f"length of row {row}"
            rule = f"{which} must lie in 0 … {most}"
            raise InvalidValue(rule_numbers_remedy(rule, str(length), "truncate to what is filled"))
    return torch.tensor(given, dtype=torch.int64)


def require_row(row: int, batch: int) -> None:
    """Raise InvalidType or InvalidValue unless `row` is one of 0 … batch − 1."""
    require_whole(at_least=0, row=row)
    if row >= batch:
        raise InvalidValue(rule_numbers_remedy(f"a row lies in 0 … {batch - 1}", str(row), "count rows from 0"))


def bias_of(seen: Tensor, dtype: torch.dtype) -> Tensor:
    """seen (…) bool -> (…) of `dtype`: 0 where a query may look, −inf where it may not."""
    return torch.zeros(seen.shape, dtype=dtype, device=seen.device).masked_fill_(~seen, -math.inf)


def attend_biased(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """q (B, L, H, D), k and v (B, S, G, D), bias (B, 1, L, S) -> (B, L, H, D): torch's fused call, with a bias a row."""
    grouped = q.shape[2] != k.shape[2]
    k, v = k.transpose(1, 2), v.transpose(1, 2)
    if q.shape[1] == 1:
        return attend_rows(q[:, 0], k, v, bias)[:, None]
    out = F.scaled_dot_product_attention(q.transpose(1, 2), k, v, attn_mask=bias, enable_gqa=grouped)
    return out.transpose(1, 2)
