"""What the paged kernel takes, and how much of a call the interpreter has patience for.

Shapes and the numbers in the tables are checked by `attention/validate_paged.py`, for every form. Here is what this form
lacks: wide dtypes, wide heads, caches that would have to be copied first. The errors name what does not lack it.
"""

from itertools import accumulate

import torch

from minillm.attention.validate_paged import Texts
from minillm.errors import Unsupported, rule_numbers_remedy
from minillm.kernels.attention_tiles import Tiles
from minillm.kernels.flash_attention import WIDEST
from minillm.kernels.operands import DTYPES, require_plain
from minillm.kernels.targets import has_float8
from minillm.measure.paged_cost import paged_tile_steps

INSTEAD = "minillm.attention.tiled_paged"


def require_paged_input(
    q: torch.Tensor,
    k_cache: torch.Tensor,
    v_cache: torch.Tensor,
    sinks: torch.Tensor | None,
    k_scale: torch.Tensor | None,
    v_scale: torch.Tensor | None,
    target: str,
) -> None:
    """Raise Unsupported, naming what can, for dtypes, widths and layouts the kernel does not take, and for gradients."""
    tensors = {"q": q, "k_cache": k_cache, "v_cache": v_cache, "sinks": sinks, "k_scale": k_scale, "v_scale": v_scale}
    require_plain(INSTEAD, **tensors)
    if q.dtype not in DTYPES:
        rule = "paged_attention takes queries of float16, bfloat16 and float32"
        raise _unsupported(rule, str(q.dtype), f"use {INSTEAD}, which keeps float64")
    if q.shape[-1] > WIDEST:
        raise _unsupported(f"paged_attention takes head widths D up to {WIDEST}", str(q.shape[-1]), f"use {INSTEAD}")
    if k_cache.dtype == torch.float8_e4m3fn and not has_float8(target):
        rule = "a float8_e4m3fn cache needs a GPU that reads it, of compute capability 8.9 or newer"
        raise _unsupported(rule, target, "keep the cache in int8")
    for name, x in (("k_cache", k_cache), ("v_cache", v_cache)):
        if x.stride(-1) != 1 and x.shape[-1] > 1:
            rule = f"{name} must have a contiguous last dimension: copying a whole cache at every call is no remedy"
            raise _unsupported(rule, f"stride {x.stride(-1)}", "allocate it (num_blocks, P, G, D)")
    for name, scales in (("k_scale", k_scale), ("v_scale", v_scale)):
        if scales is not None and not scales.is_contiguous():
            rule = f"{name} must be contiguous: copying all scales at every call is no remedy"
            raise _unsupported(rule, f"strides {scales.stride()}", "allocate it (num_blocks, P, G)")
    wanting = [name for name, x in tensors.items() if x is not None and x.requires_grad]
    if wanting and torch.is_grad_enabled():
        rule = "paged_attention has no backward pass, so gradients would be lost"
        raise _unsupported(rule, f"{wanting[0]} with requires_grad=True", "use torch.no_grad()")


def fewer_texts(texts: Texts, H: int, G: int, tiles: Tiles, num_splits: int, window: int | None, limit: int) -> str:
    """How many of the texts fit `limit` steps together, in words; if not even one, how long the first may be."""

    def steps(text: tuple[int, int]) -> int:
        return paged_tile_steps([text], H, G, tiles.block_l, tiles.block_s, num_splits, window)

    fitting = sum(total <= limit for total in accumulate(map(steps, texts)))
    if fitting:
        return f"the first {fitting} texts"
    L, S = texts[0]
    while steps((L, S)) > limit and S > 1:
        L, S = max(1, L // 2), S // 2
    return f"a text of {S} tokens, {L} of them new"


def _unsupported(rule: str, found: str, remedy: str) -> Unsupported:
    return Unsupported(rule_numbers_remedy(rule, found, remedy))
