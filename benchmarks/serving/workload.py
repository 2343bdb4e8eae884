"""What every engine is asked to write: the same prompts, as token ids, and how many tokens each text gets.

Lengths are ragged, as they are in life: where all texts end together, a batch that never changes looks better than it is.
No engine is imported here, so that a worker in any environment can be told its work.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import NamedTuple

PROMPT_TOKENS = (17, 243)
OUTPUT_TOKENS = (8, 120)


class Request(NamedTuple):
    """Token ids to go on from, and how many tokens to write, greedily and past any end token."""

    prompt: tuple[int, ...]
    num_tokens: int


def many_at_once(vocab_size: int, count: int = 32, seed: int = 0) -> list[Request]:
    """`count` requests that arrive together: 17 to 243 tokens in, 8 to 120 out, evenly spread and in random order."""
    drawn = random.Random(seed)
    lengths = [_shuffled(_spread(*ends, count), drawn) for ends in (PROMPT_TOKENS, OUTPUT_TOKENS)]
    return [Request(_ids(drawn, n, vocab_size), out) for n, out in zip(*lengths, strict=True)]


def one_alone(vocab_size: int, prompt: int = 64, num_tokens: int = 128, seed: int = 0) -> list[Request]:
    """A single request, which no engine can batch with anything."""
    return [Request(_ids(random.Random(seed), prompt, vocab_size), num_tokens)]


def rows_per_pass(requests: Sequence[Request]) -> list[tuple[int, int]]:
    """(rows, rows scored) of each pass when no row is wasted: all prompts in one, then a row for each unfinished text."""
    outputs = [num_tokens for _, num_tokens in requests]
    passes = [(sum(len(prompt) for prompt, _ in requests), len(requests))]
    for step in range(1, max(outputs)):
        running = sum(out > step for out in outputs)
        passes.append((running, running))
    return passes


def _spread(low: int, high: int, count: int) -> list[int]:
    if count == 1:
        return [high]
    return [low + (high - low) * i // (count - 1) for i in range(count)]


def _shuffled(values: list[int], drawn: random.Random) -> list[int]:
    drawn.shuffle(values)
    return values


def _ids(drawn: random.Random, count: int, vocab_size: int) -> tuple[int, ...]:
    # The last id is the end of text, which a prompt does not hold.
    return tuple(drawn.randrange(vocab_size - 1) for _ in range(count))
