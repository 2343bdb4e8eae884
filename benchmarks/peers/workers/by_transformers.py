"""transformers: one text after another, batches of eight padded on the left, and its own continuous batching."""

from __future__ import annotations

import torch
import transformers
from protocol import serve
from transformers import AutoModelForCausalLM, ContinuousBatchingConfig, GenerationConfig

BATCH = 8


def load(folder, threads, dtype, options):
    torch.set_num_threads(threads)
    transformers.utils.logging.set_verbosity_error()
    ways = {}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype)).eval()
    model.generation_config.eos_token_id = None
    model.generation_config.pad_token_id = 0
    ways["one by one"] = lambda requests: [_static(model, [request])[0] for request in requests]
    ways["batches of 8"] = lambda requests: _in_batches(model, requests)
    ways["generate_batch"] = lambda requests: _continuous(model, requests, **options)
    return ways


@torch.inference_mode()
def _static(model, requests):
    """One padded batch: it goes on until its longest text is done, and each text is cut to what was asked."""
    longest = max(len(ids) for ids, _ in requests)
    prompts = torch.tensor([[0] * (longest - len(ids)) + list(ids) for ids, _ in requests])
    mask = torch.tensor([[0] * (longest - len(ids)) + [1] * len(ids) for ids, _ in requests])
    count = max(count for _, count in requests)
    out = model.generate(prompts, attention_mask=mask, do_sample=False, max_new_tokens=count)
    return [row[longest : longest + wanted].tolist() for row, (_, wanted) in zip(out, requests, strict=True)]


def _in_batches(model, requests):
    """Eight at a time, sorted by length of prompt: the usual advice, for then padding is least."""
    order = sorted(range(len(requests)), key=lambda i: len(requests[i][0]))
    tokens = [[]] * len(requests)
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        for i, text in zip(chosen, _static(model, [requests[i] for i in chosen]), strict=True):
            tokens[i] = text
    return tokens


def _continuous(model, requests, budget=1024, page=32):
    """What `generate_batch` does, but for each text its own number of tokens, which that cannot say.

    The manager is kept, and shares no prefixes: every round reads its prompts anew.
    """
    pages = sum(-(-(len(ids) + count) // page) for ids, count in requests)
    config = ContinuousBatchingConfig(
        page_size=page, num_blocks=pages + 8, max_batch_tokens=budget, allow_block_sharing=False
    )
    settings = GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0)
    with model.continuous_batching_context_manager(
        generation_config=settings, continuous_batching_config=config, persistent_manager=True
    ) as manager:
        names = [manager.add_request(list(ids), max_new_tokens=count, eos_token_id=-1) for ids, count in requests]
        done = {}
        while len(done) < len(names):
            result = manager.get_result(timeout=1)
            if result is not None and result.is_finished():
                done[result.request_id] = result
            elif result is None and not manager.is_running():
                raise RuntimeError("generate_batch's manager has stopped before all texts were written")
    if failed := [result.error for result in done.values() if result.error]:
        raise RuntimeError(f"generate_batch: {failed[0]}")
    return [done[name].generated_tokens for name in names]


if __name__ == "__main__":
    serve(load, ["transformers", "torch"])
