"""ONNX Runtime GenAI: its own model builder, one text after another."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import onnxruntime_genai as og
from protocol import serve

PRECISIONS = {"float32": "fp32", "bfloat16": "bf16"}


def load(folder, threads, dtype, options):
    built = Path(f"{folder}-onnxruntime-{dtype}")
    if not (built / "genai_config.json").is_file():
        words = ["-i", folder, "-o", str(built), "-p", PRECISIONS[dtype], "-e", "cpu", "-c", f"{built}-parts"]
        subprocess.run([sys.executable, "-m", "onnxruntime_genai.models.builder", *words], check=True)
    config = og.Config(str(built))
    settings = {"intra_op_num_threads": threads, "inter_op_num_threads": 1}
    config.overlay(json.dumps({"model": {"decoder": {"session_options": settings}}}))
    model = og.Model(config)
    return {"one by one": lambda requests: [_one(model, ids, count) for ids, count in requests]}


def _one(model, ids, count):
    params = og.GeneratorParams(model)
    params.set_search_options(do_sample=False, max_length=len(ids) + count, batch_size=1)
    generator = og.Generator(model, params)
    generator.append_tokens(list(ids))
    while not generator.is_done():
        generator.generate_next_token()
    return list(generator.get_sequence(0))[len(ids) :]


if __name__ == "__main__":
    serve(load, ["onnxruntime-genai", "onnxruntime"])
