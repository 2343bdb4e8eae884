"""CTranslate2: its own converter and its own batching, of texts sorted by length of prompt as it does by itself.

Its batches are static, but a callback can end one text of a batch early, so none is longer than was asked.
"""

from __future__ import annotations

from pathlib import Path

import ctranslate2
from ctranslate2.converters import TransformersConverter
from protocol import serve
from tokenizers import Tokenizer


def load(folder, threads, dtype, options):
    converted = Path(f"{folder}-ctranslate2")
    if not converted.is_dir():
        TransformersConverter(folder).convert(str(converted), quantization="float32")
    generator = ctranslate2.Generator(
        str(converted), device="cpu", compute_type=dtype, inter_threads=1, intra_threads=threads
    )
    names = Tokenizer.from_file(str(Path(folder) / "tokenizer.json")).id_to_token
    return {f"batches of {size}": _writer(generator, names, size) for size in (1, 8, 16, 32)}


def _writer(generator, names, size):
    def write(requests):
        order = sorted(range(len(requests)), key=lambda i: len(requests[i][0]))
        tokens = [[]] * len(requests)
        for start in range(0, len(order), size):
            chosen = order[start : start + size]
            for i, text in zip(chosen, _batch(generator, names, [requests[i] for i in chosen]), strict=True):
                tokens[i] = text
        return tokens

    return write


def _batch(generator, names, requests):
    left = [count for _, count in requests]

    def is_done(result):
        left[result.batch_id] -= 1
        return left[result.batch_id] <= 0

    results = generator.generate_batch(
        [[names(i) for i in ids] for ids, _ in requests],
        max_batch_size=0,
        beam_size=1,
        max_length=max(left),
        min_length=max(left),
        include_prompt_in_result=False,
        callback=is_done,
    )
    return [result.sequences_ids[0] for result in results]


if __name__ == "__main__":
    serve(load, ["ctranslate2", "torch", "transformers"])
