"""What a caller hands in, made uniform and checked before anything runs: prompts, token ids, and parameters for each.

A prompt is text or token ids; a call takes one or a list of either, and one set of parameters for all or one each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.model.config import ModelConfig
from minillm.model.tokenizer import Tokenizer
from minillm.serving.sampling_params import SamplingParams

Prompt = str | Sequence[int]


class ReadPrompt(NamedTuple):
    """A prompt's text, if it was one, and its token ids, checked."""

    text: str | None
    token_ids: list[int]


def as_prompts(prompts: Any) -> list[Prompt]:
    """One prompt or several -> a list of them. Raises InvalidType for what is neither, InvalidValue for none."""
    many = [prompts] if isinstance(prompts, str) else as_sequence(prompts)
    if many and all(isinstance(p, int) for p in many):
        many = [many]
    if len(many) == 0:
        raise InvalidValue("a call needs at least one prompt; got none; pass text or token ids.")
    return list(many)


def as_sequence(value: Any) -> Sequence[Any]:
    """Token ids, or a list of prompts -> something that can be counted; tensors and arrays become lists."""
    if isinstance(value, torch.Tensor | np.ndarray):
        value = value.tolist()
    if not isinstance(value, Sequence) or isinstance(value, bytes | bytearray | memoryview):
        raise InvalidType(
            f"prompts are text, token ids, or a list of either; got {type(value).__name__}; pass a string."
        )
    return value


def one_each(params: Any, count: int) -> list[SamplingParams]:
    """One SamplingParams, one for each of `count` prompts, or None -> one for each prompt."""
    if params is None or isinstance(params, SamplingParams):
        return [params or SamplingParams()] * count
    chosen = params if isinstance(params, list | tuple) else [params]
    for one in chosen:
        require_params(one)
    if len(chosen) != count:
        rule = "params must be one for all or one for each prompt"
        raise InvalidValue(rule_numbers_remedy(rule, f"{len(chosen)} for {count} prompts", "pass one"))
    return list(chosen)


def require_params(params: Any) -> None:
    """Raise InvalidType for anything but SamplingParams."""
    if not isinstance(params, SamplingParams):
        rule, remedy = "params must be SamplingParams", "use ml.SamplingParams(...)"
        raise InvalidType(rule_numbers_remedy(rule, type(params).__name__, remedy))


def read_prompt(prompt: Any, tokenizer: Tokenizer | None, vocab_size: int) -> list[int]:
    """Text or token ids -> token ids, at least one and all in the vocabulary; raises InvalidType or InvalidValue."""
    if isinstance(prompt, str):
        if tokenizer is None:
            rule = "text needs a tokenizer"
            raise InvalidType(rule_numbers_remedy(rule, "an engine without one", "pass token ids, or a tokenizer"))
        ids = tokenizer.encode(prompt)
    else:
        ids = list(as_sequence(prompt))
        if not all(isinstance(i, int) and not isinstance(i, bool) for i in ids):
            raise InvalidType(
                "token ids are whole numbers; got " + repr(prompt)[:60] + "; encode text with the tokenizer."
            )
    if not ids:
        raise InvalidValue("a prompt needs at least one token; got an empty one; pass some text.")
    if min(ids) < 0 or max(ids) >= vocab_size:
        wrong = next(i for i in ids if not 0 <= i < vocab_size)
        raise InvalidValue(
            f"token ids lie in 0 … {vocab_size - 1}; got {wrong}; encode with this model's own tokenizer."
        )
    return ids


def require_possible(count: int, params: SamplingParams, tokenizer: Tokenizer | None, config: ModelConfig) -> None:
    """Raise InvalidValue unless this model can write what is asked for behind a prompt of `count` tokens."""
    room = config.max_position_embeddings
    # The last token is written but never read, so it needs no position.
    fits = room - count + 1
    if params.max_tokens > fits:
        remedy = f"or use max_tokens={fits}" if fits > 0 else f"to at most {room} tokens"
        raise InvalidValue(
            f"prompt and max_tokens must fit the model's {room} positions; got {count} + {params.max_tokens}; "
            f"shorten the prompt {remedy}."
        )
    if params.stop and tokenizer is None:
        rule, remedy = "stop strings need a tokenizer", "use stop_token_ids, or pass a tokenizer"
        raise InvalidValue(rule_numbers_remedy(rule, "an engine without one", remedy))
    last = config.vocab_size - 1
    wrong = [i for i in params.stop_token_ids if i > last]
    if wrong:
        rule, remedy = f"stop_token_ids lie in 0 … {last}", "use this model's own tokenizer"
        raise InvalidValue(rule_numbers_remedy(rule, str(wrong[0]), remedy))
    if (params.logprobs or 0) > config.vocab_size:
        rule = f"logprobs must be at most the vocabulary, {config.vocab_size}"
        raise InvalidValue(rule_numbers_remedy(rule, str(params.logprobs), "ask for the best few"))
