"""A floor for engines that call `F.linear`: the model's matrices times as many rows as the work needs, and nothing else.

No row is wasted, nothing attends, nothing is chosen. An engine that reads its weights in another order can be faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from workload import Request, rows_per_pass

from minillm.model import ModelConfig


def linear_floor(config: ModelConfig, dtype: torch.dtype) -> Callable[[Sequence[Request]], None]:
    """A shape of model -> what multiplies as often as these requests need, with random numbers of this type."""
    C, F_, queries = config.hidden_size, config.intermediate_size, config.num_heads * config.head_dim
    keys = 2 * config.num_kv_heads * config.head_dim
    shapes = [(queries + keys, C), (C, queries), (2 * F_, C), (C, F_)]
    layers = [[torch.randn(shape, dtype=dtype) for shape in shapes] for _ in range(config.num_layers)]
    head = torch.randn(config.vocab_size, C, dtype=dtype)

    @torch.inference_mode()
    def multiply(requests: Sequence[Request]) -> None:
        passes = rows_per_pass(requests)
        most = max(rows for rows, _ in passes)
        inputs = {width: torch.randn(most, width, dtype=dtype) for width in {C, queries, F_}}
        for rows, scored in passes:
            for layer in layers:
                for weight in layer:
                    F.linear(inputs[weight.shape[1]][:rows], weight)
            F.linear(inputs[C][:scored], head)

    return multiply
