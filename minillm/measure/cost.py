"""What attention and a whole model cost, on paper: FLOPs, bytes and seconds from a handful of plain numbers.

These are the formulas you can check with a pencil. The counters measure the same quantities on running code, and the
tests hold the two together; when a formula and a counter disagree, one of them is wrong.
"""

from __future__ import annotations

from minillm.measure.attention_cost import (
    AttentionFlops,
    Bytes,
    attention_flops,
    ideal_attention_bytes,
    kv_cache_bytes,
    score_bytes,
    visible_pairs,
)
from minillm.measure.backward_cost import BackwardCost, backward_cost, delta_cost, dkdv_cost, dq_cost
from minillm.measure.cache_cost import kv_write_bytes, rotary_bytes, rotary_write_bytes
from minillm.measure.decode_cost import (
    DecodeCost,
    flash_decode_cost,
    merge_splits_cost,
    per_head_decode_cost,
    split_decode_cost,
)
from minillm.measure.kernel_cost import MatmulCost, matmul_cost, softmax_bytes
from minillm.measure.memory import MemoryEstimate, estimate_memory
from minillm.measure.model_cost import (
    decode_flops_per_token,
    matrix_parameters,
    parameter_count,
    prefill_flops,
    weight_bytes,
)
from minillm.measure.naive_cost import (
    Step,
    attention_bytes,
    naive_attention_steps,
    peak_bytes,
    textbook_attention_steps,
)
from minillm.measure.numbers import require_positive
from minillm.measure.paged_cost import paged_attention_cost

__all__ = [
    "AttentionFlops",
    "BackwardCost",
    "Bytes",
    "DecodeCost",
    "MatmulCost",
    "MemoryEstimate",
    "Step",
    "arithmetic_intensity",
    "attention_bytes",
    "attention_flops",
    "backward_cost",
    "decode_flops_per_token",
    "delta_cost",
    "dkdv_cost",
    "dq_cost",
    "estimate_memory",
    "flash_decode_cost",
    "ideal_attention_bytes",
    "kv_cache_bytes",
    "kv_write_bytes",
    "matmul_cost",
    "matrix_parameters",
    "merge_splits_cost",
    "naive_attention_steps",
    "paged_attention_cost",
    "parameter_count",
    "peak_bytes",
    "per_head_decode_cost",
    "prefill_flops",
    "ridge_point",
    "roofline_time",
    "rotary_bytes",
    "rotary_write_bytes",
    "score_bytes",
    "softmax_bytes",
    "split_decode_cost",
    "textbook_attention_steps",
    "visible_pairs",
    "weight_bytes",
]


def arithmetic_intensity(flops: float, bytes_moved: float) -> float:
    """FLOPs, bytes -> FLOPs per byte. Below the machine's ridge point memory decides, above it the multipliers do."""
    require_positive(flops=flops, bytes_moved=bytes_moved)
    return flops / bytes_moved


def ridge_point(bandwidth: float, rate: float) -> float:
    """Bytes/s, FLOP/s -> the FLOPs per byte at which both limits take equally long: rate / bandwidth."""
    require_positive(bandwidth=bandwidth, rate=rate)
    return rate / bandwidth


def roofline_time(bytes_moved: float, flops: float, bandwidth: float, rate: float) -> float:
    """Bytes, FLOPs, bytes/s, FLOP/s -> seconds no kernel can beat: max(bytes / bandwidth, flops / rate).

    Either amount may be zero. Source: Williams, Waterman and Patterson, "Roofline" (2009).
    """
    require_positive(bandwidth=bandwidth, rate=rate)
    for name, amount in (("bytes_moved", bytes_moved), ("flops", flops)):
        if amount != 0:
            require_positive(**{name: amount})
    return max(bytes_moved / bandwidth, flops / rate)
