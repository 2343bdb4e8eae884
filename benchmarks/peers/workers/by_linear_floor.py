"""The floor, and no engine: `F.linear` over the model's matrices for the same work. See `linear_floor`."""

from __future__ import annotations

from pathlib import Path

import torch
from linear_floor import linear_floor
from protocol import serve

from minillm.model import ModelConfig


def load(folder, threads, dtype, options):
    torch.set_num_threads(threads)
    multiply = linear_floor(ModelConfig.from_file(Path(folder) / "config.json"), getattr(torch, dtype))

    def write(requests):
        multiply(requests)
        return []

    return {"linear": write}


if __name__ == "__main__":
    serve(load, ["torch"])
