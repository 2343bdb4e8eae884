"""transformers as this benchmark asks for it: the same weights, in static batches and in its own continuous batching.

Nothing is fetched: attention is torch's. Whatever a version of it cannot do raises, and is reported as it says it.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import torch
from ours import Outcome, Request, Write

from minillm.model import Decoder
from minillm.model.checkpoint import tensor_names

BATCH = 128  # texts of a static batch: 256 of the large model, padded, would not fit beside its weights


@contextmanager
def ways_of_transformers(model: Decoder, requests: Sequence[Request], backend: str) -> Iterator[Write]:
    """`generate` (also "generate, static cache") or `generate_batch`, on a Qwen3 of transformers that reads this model's memory."""
    import transformers

    transformers.utils.logging.set_verbosity_error()
    twin = as_transformers(model)
    if backend.startswith("generate,"):
        _static(twin, requests, float("inf"), static_cache=True, most=3)  # compiled for the very shapes that are timed
    if backend != "generate_batch":
        yield lambda wanted, ends: _static(twin, wanted, ends, static_cache="static" in backend)
        return
    with _manager(twin, requests) as manager:
        yield lambda wanted, ends: _continuous(manager, wanted, ends)


def as_transformers(model: Decoder) -> torch.nn.Module:
    """A Qwen3ForCausalLM whose tensors are views of the model's: no byte is copied."""
    from transformers import Qwen3Config, Qwen3ForCausalLM

    c = model.config
    config = Qwen3Config(
        vocab_size=c.vocab_size, hidden_size=c.hidden_size, intermediate_size=c.intermediate_size,
        num_hidden_layers=c.num_layers, num_attention_heads=c.num_heads, num_key_value_heads=c.num_kv_heads,
        head_dim=c.head_dim, max_position_embeddings=c.max_position_embeddings, rms_norm_eps=c.rms_norm_eps,
        rope_parameters={"rope_type": "default", "rope_theta": c.rope_theta},
        tie_word_embeddings=c.tie_word_embeddings, attn_implementation="sdpa",
    )  # fmt: skip
    before = torch.get_default_dtype()
    try:
        torch.set_default_dtype(model.dtype)
        with torch.device(model.device):
            twin = Qwen3ForCausalLM(config).eval()
    finally:
        torch.set_default_dtype(before)
    theirs, shared = twin.state_dict(), {}
    for ours, names in tensor_names(model).items():
        parts = model.state_dict()[ours].split([theirs[name].shape[0] for name in names])
        shared |= dict(zip(names, parts, strict=True))
    missing, unknown = twin.load_state_dict(shared, strict=False, assign=True)
    if unknown or set(missing) - {"lm_head.weight"}:
        raise RuntimeError(f"this transformers has other tensors: {[*missing, *unknown][:4]}")
    twin.tie_weights()
    twin.requires_grad_(False)
    twin.generation_config.eos_token_id, twin.generation_config.pad_token_id = None, 0
    twin._supports_flash_attn = False  # which would have to be fetched
    return twin


@torch.inference_mode()
def _static(
    twin, requests: Sequence[Request], ends: float, *, static_cache: bool = False, most: int | None = None
) -> Outcome:
    """Batches sorted by length of prompt, padded on the left; each goes on until its longest text is done, or has `most`."""
    begun, texts = time.perf_counter(), [[] for _ in requests]
    order = sorted(range(len(requests)), key=lambda i: len(requests[i].prompt))
    for chosen in (order[i : i + BATCH] for i in range(0, len(order), BATCH)):
        these = [requests[i] for i in chosen]
        longest, count = max(len(r.prompt) for r in these), max(r.num_tokens for r in these)
        ids = torch.tensor([[0] * (longest - len(r.prompt)) + list(r.prompt) for r in these], device=twin.device)
        mask = torch.tensor([[0] * (longest - len(r.prompt)) + [1] * len(r.prompt) for r in these], device=twin.device)
        options: dict[str, object] = {"max_new_tokens": count if most is None else most}
        if static_cache:
            from transformers import StaticCache

            options["past_key_values"] = StaticCache(config=twin.config, max_cache_len=longest + count)
        if ends < float("inf"):
            if time.monotonic() > ends:
                break
            options["max_time"] = ends - time.monotonic()
        out = twin.generate(ids, attention_mask=mask, do_sample=False, **options)
        for i, row in zip(chosen, out[:, longest:].tolist(), strict=True):
            texts[i] = row[: requests[i].num_tokens]
    return Outcome(texts, time.perf_counter() - begun, {})


@contextmanager
def _manager(twin, requests: Sequence[Request]) -> Iterator[object]:
    """generate_batch's own manager: it says for each text how long it gets, which the call itself cannot."""
    from transformers import ContinuousBatchingConfig, GenerationConfig

    known = {f.name for f in dataclasses.fields(ContinuousBatchingConfig)}
    wanted: dict[str, object] = {"allow_block_sharing": False, "auto_switch_to_flash": False}
    if twin.device.type == "cpu":  # there is no memory to take a part of
        page = "page_size" if "page_size" in known else "block_size"
        wanted |= {page: 32, "num_blocks": 8 + 2 * len(requests), "max_batch_tokens": 64}
    config = ContinuousBatchingConfig(**{name: value for name, value in wanted.items() if name in known})
    settings = GenerationConfig(do_sample=False, eos_token_id=-1, pad_token_id=0)
    with twin.continuous_batching_context_manager(
        generation_config=settings, continuous_batching_config=config
    ) as manager:
        yield manager


def _continuous(manager, requests: Sequence[Request], ends: float) -> Outcome:
    begun, done = time.perf_counter(), {}
    names = [manager.add_request(list(ids), max_new_tokens=count, eos_token_id=-1) for ids, count in requests]
    while len(done) < len(names) and time.monotonic() < ends:
        result = manager.get_result(timeout=1)
        if result is not None and result.is_finished():
            done[result.request_id] = result
        elif result is None and not manager.is_running():
            raise RuntimeError("generate_batch's manager has stopped before all texts were written")
    seconds = time.perf_counter() - begun
    for name in names:
        if name not in done:
            with suppress(Exception):  # the manager is left anyway
                manager.cancel_request(name)
    if failed := [result.error for result in done.values() if result.error]:
        raise RuntimeError(f"generate_batch: {failed[0]}")
    return Outcome([list(done[name].generated_tokens) if name in done else [] for name in names], seconds, {})
