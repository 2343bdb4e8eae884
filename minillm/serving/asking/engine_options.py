"""What an engine is told when it is built, checked: the scheduler's rules, and how large its cache is."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch

from minillm.cache.paged import PagedCache
from minillm.errors import InvalidType, InvalidValue, nearest_name, rule_numbers_remedy
from minillm.measure.numbers import require_whole
from minillm.model.decoder import Decoder
from minillm.model.tokenizer import Tokenizer
from minillm.serving.schedule.config import SchedulerConfig

MOST_CACHE = 2**30  # bytes of keys and values that an engine on a CPU reserves unasked
MOST_OF_FREE = 0.8  # of an accelerator's free memory


def require_parts(model: Any, tokenizer: Any, clock: Any, new_seed: Any, on_step: Any) -> None:
    """Raise InvalidType unless an engine can be built of these."""
    if not isinstance(model, Decoder):
        rule, remedy = "an engine needs a Decoder", "use ml.load_model(name), or ml.LLM(name)"
        raise InvalidType(rule_numbers_remedy(rule, f"{model!r:.60}", remedy))
    if tokenizer is not None and not isinstance(tokenizer, Tokenizer):
        rule, remedy = "tokenizer must be a Tokenizer", "use ml.load_tokenizer(name), or none"
        raise InvalidType(rule_numbers_remedy(rule, f"{tokenizer!r:.60}", remedy))
    hooks = {"clock": clock, "new_seed": new_seed} | ({} if on_step is None else {"on_step": on_step})
    for name, hook in hooks.items():
        if not callable(hook):
            raise InvalidType(rule_numbers_remedy(f"{name} must be a function", f"{hook!r:.60}", "leave it out"))


def scheduler_config(model: Decoder, rules: dict[str, Any]) -> SchedulerConfig:
    """The rules given by name -> a SchedulerConfig for this model. Refuses an unknown name, saying the nearest."""
    known = [f.name for f in dataclasses.fields(SchedulerConfig)]
    own = ["block_size", "num_blocks", "weights", "speculative", "cuda_graphs", "clock", "new_seed", "check", "on_step"]
    for name in rules:
        if name not in known:
            near = nearest_name(name, [*known, *own])
            raise InvalidType(f"an engine has no option {name!r}{near}; known: {', '.join([*own, *known])}.")
    positions = model.config.max_position_embeddings
    length = rules.get("max_model_len")
    config = SchedulerConfig(**{**rules, "max_model_len": positions if length is None else length})
    if length is not None and length > positions:
        rule = f"max_model_len must be at most the model's {positions} positions"
        raise InvalidValue(rule_numbers_remedy(rule, str(length), "leave it out"))
    return config


def engine_cache(
    model: Decoder, config: SchedulerConfig, block_size: int, num_blocks: int | None, check: bool
) -> PagedCache:
    """A cache of the model's sizes, with `default_num_blocks` unless told."""
    require_whole(block_size=block_size)
    if num_blocks is None:
        num_blocks = default_num_blocks(model, config, block_size)
    return model.new_paged_cache(num_blocks, block_size, check=check)


def default_num_blocks(model: Decoder, config: SchedulerConfig, block_size: int) -> int:
    """Blocks for `max_num_seqs` texts of full length, as far as memory goes: see MOST_CACHE and MOST_OF_FREE.

    One text of full length always fits, unless that is more than may be taken of an accelerator.
    """
    c = model.config
    length = config.max_model_len or c.max_position_embeddings
    a_text = -(-length // block_size)
    a_block = 2 * c.num_layers * block_size * c.num_kv_heads * c.head_dim * model.dtype.itemsize
    if model.device.type == "cuda":
        free, _ = torch.cuda.mem_get_info(model.device)
        return max(1, min(config.num_seats * a_text, int(MOST_OF_FREE * free) // a_block))
    return max(a_text, min(config.num_seats * a_text, MOST_CACHE // a_block))


def steady(clock: Callable[[], float]) -> Callable[[], float]:
    """A clock that never goes back: where this one does, or says what is no time, time stands still."""
    latest = -math.inf

    def now() -> float:
        nonlocal latest
        moment = clock()
        if latest < moment < math.inf:
            latest = moment
        return latest

    return now
