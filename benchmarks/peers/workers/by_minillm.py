"""minillm: all requests at once through its engine, text and all; nothing kept between rounds."""

from __future__ import annotations

import torch
from protocol import serve

from minillm import load_model, load_tokenizer
from minillm.serving.engine import LLMEngine
from minillm.serving.sampling_params import SamplingParams


def load(folder, threads, dtype, options):
    torch.set_num_threads(threads)
    engine = LLMEngine(load_model(folder, dtype=dtype), load_tokenizer(folder), **SETTINGS | options)
    return {"together": lambda requests: _together(engine, requests)}


SETTINGS = dict(max_model_len=512, max_num_seqs=32, max_num_batched_tokens=2048, enable_prefix_caching=False)


def _together(engine, requests):
    names = [
        engine.add_request(list(ids), SamplingParams(temperature=0, max_tokens=count, ignore_eos=True))
        for ids, count in requests
    ]
    while engine.has_unfinished:
        engine.step()
    return [engine.output(name).outputs[0].token_ids for name in names]


if __name__ == "__main__":
    serve(load, ["minillm-workbook", "torch"])
