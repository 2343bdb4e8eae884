"""minillm: all requests at once through its engine, text and all; nothing kept between rounds.

In bfloat16 the weights are kept in 16 bits, and products are summed in float32.
"""

from __future__ import annotations

import torch
from protocol import serve

import minillm as ml
from minillm.serving.compute.packed_linear import runs

SETTINGS = dict(max_model_len=512, max_num_seqs=32, max_num_batched_tokens=2048, enable_prefix_caching=False)


def load(folder, threads, dtype, options):
    torch.set_num_threads(threads)
    halves = "compiled bfloat16" if runs("compiled bfloat16") else "packed bfloat16"
    weights = {"weights": halves} if dtype == "bfloat16" else {}
    llm = ml.LLM(folder, dtype="float32", **SETTINGS | weights | options)
    return {"together": lambda requests: _together(llm, requests)}


def _together(llm, requests):
    params = [ml.SamplingParams(temperature=0, max_tokens=count, ignore_eos=True) for _, count in requests]
    return [output.outputs[0].token_ids for output in llm.generate([list(ids) for ids, _ in requests], params)]


if __name__ == "__main__":
    serve(load, ["minillm-workbook", "torch"])
