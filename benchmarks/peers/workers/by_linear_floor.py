"""The floor, and no engine: `F.linear` over the model's matrices for the same work, with no row wasted and nothing else done.

An engine that calls `F.linear` cannot be faster; one that reads its weights in another order can.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from protocol import serve
from workload import rows_per_pass


def load(folder, threads, dtype, options):
    torch.set_num_threads(threads)
    config = json.loads((Path(folder) / "config.json").read_text())
    C, wide, D = config["hidden_size"], config["intermediate_size"], config["head_dim"]
    H, G = config["num_attention_heads"], config["num_key_value_heads"]
    shapes = [((H + 2 * G) * D, C), (C, H * D), (2 * wide, C), (C, wide)]
    made = dict(dtype=getattr(torch, dtype))
    layers = [[torch.randn(shape, **made) for shape in shapes] for _ in range(config["num_hidden_layers"])]
    head = torch.randn(config["vocab_size"], C, **made)
    inputs = {width: torch.randn(2**13, width, **made) for width in {C, H * D, wide}}
    return {"linear": lambda requests: _multiply(layers, head, inputs, requests)}


@torch.inference_mode()
def _multiply(layers, head, inputs, requests):
    for rows, scored in rows_per_pass(requests):
        for layer in layers:
            for weight in layer:
                F.linear(inputs[weight.shape[1]][:rows], weight)
        F.linear(inputs[head.shape[1]][:scored], head)
    return []


if __name__ == "__main__":
    serve(load, ["torch"])
