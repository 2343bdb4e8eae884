"""What decoding accepts, said once: one query a text, the slab of keys and values it has kept, and how many are its own.

Lengths lie where the tensors lie. On a GPU reading them back would stop the queue at every token, so there their values
are trusted (and cut off at the slab's end); in the CPU's memory they are looked at.
"""

from __future__ import annotations

import torch

from minillm.attention.validate import check_indices, validate
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.chip import on_chip
from minillm.measure.splits import require_splits


def validate_decode(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    seq_lens: torch.Tensor,
    window: int | None = None,
    softcap: float = 0.0,
    sinks: torch.Tensor | None = None,
    scale: float | None = None,
    num_splits: int | None = None,
    return_lse: bool = False,
) -> list[int] | None:
    """Check one call of decoding: q (B, H, D), k and v (B, S, G, D), seq_lens (B,) int32, and the options.

    Returns the lengths as numbers where they lie in the CPU's memory, else None. Raises InvalidType for the wrong kind of
    thing and InvalidValue for the wrong numbers.
    """
    if not isinstance(q, torch.Tensor):
        rule = "q must be a torch tensor (B, H, D)"
        raise InvalidType(rule_numbers_remedy(rule, type(q).__name__, "convert it with torch.as_tensor"))
    if q.dim() != 3:
        rule = "q must have 3 dimensions (B, H, D): one new token a text"
        remedy = "drop the axis of length 1 with q[:, 0], or use flash_attention for several tokens"
        raise InvalidValue(rule_numbers_remedy(rule, f"{q.dim()}: {tuple(q.shape)}", remedy))
    validate(q[:, None], k, v, False, window, softcap, sinks, scale, return_lse)
    if num_splits is not None:
        require_splits(num_splits)
    check_seq_lens(seq_lens, q)
    return read_seq_lens(seq_lens, k.shape[1])


def check_seq_lens(seq_lens: torch.Tensor, q: torch.Tensor) -> None:
    """int32, one a text, on q's device."""
    check_indices("seq_lens", seq_lens, "(B,)", torch.int32)
    if tuple(seq_lens.shape) != (q.shape[0],):
        found = f"{tuple(seq_lens.shape)} for B={q.shape[0]}"
        raise InvalidValue(rule_numbers_remedy("seq_lens must have shape (B,)", found, "pass one length a text"))
    if seq_lens.device != q.device:
        found = f"{seq_lens.device} and {q.device}"
        raise InvalidValue(rule_numbers_remedy("seq_lens must be on q's device", found, "move it with .to(q.device)"))


def read_seq_lens(seq_lens: torch.Tensor, S: int) -> list[int] | None:
    """The lengths as numbers, if they lie in the CPU's memory. Raises InvalidValue for one below 0 or above S."""
    if seq_lens.device.type != "cpu":
        return None
    with on_chip():  # the host's own look is no traffic of attention's
        lengths = seq_lens.tolist()
    for b, length in enumerate(lengths):
        if not 0 <= length <= S:
            rule = f"seq_lens must lie in 0 … S = {S}"
            remedy = "count the keys that are kept, the new token's included"
            raise InvalidValue(rule_numbers_remedy(rule, f"{length} for text {b}", remedy))
    return lengths
