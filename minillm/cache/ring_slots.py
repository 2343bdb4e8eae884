"""Which slot of a ring holds which token: position p lives in slot p mod R, for every row of a batch.

A pass asks three things: which slots hold the tokens before it that are still seen, which slots the new tokens take, and
which of what is read must be hidden. All three follow from the rows' lengths, so they are worked out once for all layers.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.attention.naive import visible
from minillm.cache.rows import bias_of
from minillm.errors import InvalidValue, rule_numbers_remedy


class RingPass(NamedTuple):
    """What one pass reads and writes in a ring of R slots."""

    rows: Tensor  # (B, 1)
    before: Tensor  # (B, W) slots of the tokens that the new ones may still see, oldest first
    taken: Tensor  # (B, R at most) slots the new tokens take
    read: int  # with one new token a row: how many slots to read, from the first
    bias: Tensor | None  # (B, 1, L, S), or None where nothing is hidden but by causal and window


def ring_pass(
    lengths: Tensor, count: int, window: int, size: int, dtype: torch.dtype, device: torch.device
) -> RingPass:
    """Rows of `lengths` (B,) tokens take `count` more, in a ring of `size` slots of which the last `window` tokens are seen."""
    starts = lengths[:, None]
    longest = int(lengths.max())
    before = starts + torch.arange(-min(window - 1, longest), 0)
    # Of more new tokens than slots only the newest stay.
    taken = starts + torch.arange(max(0, count - size), count)
    read = min(size, longest + 1)
    seen = _slots_seen(lengths, read, window, size) if count == 1 else _chunk_seen(before, count, window)
    return RingPass(
        rows=torch.arange(len(lengths), device=device)[:, None],
        before=(before % size).to(device),
        taken=(taken % size).to(device),
        read=read,
        bias=None if seen is None else bias_of(seen, dtype).unsqueeze(1).to(device),
    )


def _slots_seen(lengths: Tensor, read: int, window: int, size: int) -> Tensor | None:
    """(B, 1, read): which of the first slots one new token a row sees, or None for all of them."""
    newest = lengths[:, None]
    positions = newest - (newest - torch.arange(read)) % size  # what each slot holds once the new token is in
    seen = (positions >= 0) & (positions > newest - window)
    return None if bool(seen.all()) else seen[:, None]


def _chunk_seen(before: Tensor, count: int, window: int) -> Tensor | None:
    """before (B, W) positions -> (B, L, W + L): which old and new tokens each new one sees.

    None where no row is shorter than W: then every row's queries stand alike at the end of their keys.
    """
    if bool((before >= 0).all()):
        return None
    old = before.shape[1]
    seen = visible(count, old + count, causal=True, window=window)
    return seen & F.pad(before >= 0, (0, count), value=True)[:, None]


def require_still_there(wanted: Tensor, lengths: Tensor, oldest: Tensor, window: int) -> None:
    """Raise InvalidValue where a row of `lengths` (B,) can't be cut to `wanted` (B,): its last tokens would see one before
    `oldest` (B,), whose slot is taken. With no token left, none is seen."""
    rows = zip(wanted.tolist(), lengths.tolist(), oldest.tolist(), strict=True)
    for row, (length, before, first) in enumerate(rows):
        if length > 0 and max(0, length + 1 - window) < first:
            rule = f"row {row} has {before} tokens and can go back to {first + window - 1}, or to 0"
            raise InvalidValue(rule_numbers_remedy(rule, str(length), "make the ring with more slack"))


def require_unharmed(lengths: Tensor, oldest: Tensor, window: int) -> None:
    """Raise InvalidValue after a pass that took slots and never finished, when the text still needs what was there."""
    for row, (length, first) in enumerate(zip(lengths.tolist(), oldest.tolist(), strict=True)):
        if first > max(0, length + 1 - window):
            rule = "a pass must see the whole window before it"
            lost = f"row {row}, where an unfinished pass took the slots before {first}"
            raise InvalidValue(rule_numbers_remedy(rule, lost, f"truncate it to 0 and read its {length} tokens again"))
