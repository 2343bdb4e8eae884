"""The exercise 00.greedy: the decode loop with a cache, held to the naive loop and then to its number of FLOPs."""

from __future__ import annotations

from functools import cache

import torch

from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given, LearnerCall
from minillm.lab.checks.cases import Budget, Contract, Property, Values, given, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding
from minillm.measure import cost
from minillm.model import Decoder, ModelConfig

SMALL = ModelConfig(61, 32, 48, 2, 4, 2, 8, max_position_embeddings=256, tie_word_embeddings=False)


class SmallDecoder(Decoder):
    """A decoder whose name in a verdict is short."""

    def __repr__(self) -> str:
        return f"a decoder of {self.config.num_layers} layers"


@cache
def small_model() -> Decoder:
    """A decoder of 2 layers with random weights, loud enough that its greedy texts differ from prompt to prompt."""
    model, generator = SmallDecoder(SMALL), inputs.generator("the small model of lesson 00")
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "norm" not in name:
                weight.copy_(torch.randn(weight.shape, generator=generator) * (1.0 if "embed" in name else 0.3))
    return model.requires_grad_(False).eval()


def _prompt(length: int) -> list[int]:
    return [(7 * i * i + 3 * i + 5) % 61 for i in range(length)]


def _greedy(model: Decoder, token_ids: list[int], max_tokens: int) -> list[int]:
    """The naive loop: the oracle reads everything again for each token."""
    ids = list(token_ids)
    for _ in range(max_tokens):
        ids.append(int(model(torch.tensor([ids]))[0, -1].argmax()))
    return ids[len(token_ids) :]


def _text(length: int, new: int) -> Given:
    return given(small_model(), _prompt(length), new)


def _plain_ints(call: LearnerCall) -> Finding | None:
    got = call(*_text(4, 3).args)
    kinds = {type(token).__name__ for token in got}
    return None if kinds == {"int"} else Finding("", (("got", f"a list of {', '.join(sorted(kinds))}"),))


def _prefix(call: LearnerCall) -> Finding | bool | None:
    model, ids, _ = _text(9, 1).args
    return same(call(model, ids, 4), call(model, ids, 11)[:4])


def _resumes(call: LearnerCall) -> Finding | bool | None:
    model, ids, _ = _text(6, 1).args
    first = call(model, ids, 5)
    return same(list(first) + list(call(model, ids + list(first), 6)), call(model, ids, 11))


def _greedy_budget(length: int, new: int) -> dict[str, int]:
    """FLOPs of one prefill with every row's logits, and of a decode step for each new token: one more than needed."""
    c = SMALL
    sizes = (c.vocab_size, c.hidden_size, c.intermediate_size, c.num_layers, c.num_heads, c.num_kv_heads, c.head_dim)
    decode = sum(cost.decode_flops_per_token(length + i, *sizes) for i in range(1, new + 1))
    return {"flops": cost.prefill_flops(1, length, *sizes) + decode}


GREEDY = Exercise(
    id="00.greedy",
    title="Greedy decoding with a cache",
    statement=(
        "Return the `max_tokens` token ids that greedy decoding writes after `token_ids`, as a list of ints without the "
        "prompt. Read every token once: the prompt in one pass that fills a cache, then one token a pass. Go on past end tokens."
    ),
    signature="greedy(model, token_ids, max_tokens)",
    layers={
        "contract": (
            Contract("returns a list", lambda: _text(3, 2), _greedy),
            Property("plain ints", _plain_ints, "Token ids are plain Python ints: take `int(...)` of the argmax."),
        ),
        "values": (
            Values("one new token", lambda: _text(5, 1), _greedy, "The first token comes from the prompt's last row."),
            Values("a one-token prompt", lambda: _text(1, 9), _greedy, "With one token the prefill is a single row."),
            Values(
                "two new tokens", lambda: _text(5, 2), _greedy, "The token just written is what the next pass reads."
            ),
            Values(
                "a longer text", lambda: _text(23, 40), _greedy, "Every token is read once, in order, into one cache."
            ),
        ),
        "properties": (
            Property(
                "a shorter text is a beginning", _prefix, "Asking for fewer tokens must not change the first ones."
            ),
            Property(
                "a text can be resumed", _resumes, "Writing 5 and then 6 more must give what writing 11 at once gives."
            ),
        ),
        "resources": (
            Budget(
                "each token read once",
                lambda: _text(48, 16),
                _greedy_budget(48, 16),
                "Right tokens, wrong technique: the text is read more than once. Feed the cache only what it has not seen.",
            ),
        ),
    },
    hints=(
        "The model remembers, in the cache you pass it, everything it has read. Show it only what is new.",
        "Before each pass the cache holds every token but the newest, so the pass reads exactly one. The first pass is the "
        "exception: it reads the whole prompt.",
        "cache = room for the prompt and the new tokens;   unread, written = the prompt, []\n"
        "max_tokens times:\n"
        "    logits of the unread tokens, with the cache;   token = argmax of the last row\n"
        "    written gains token, and only token is unread now",
    ),
    solution="notebooks/solutions/lesson_00.py: greedy",
)
