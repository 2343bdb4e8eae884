"""The exercise 07.step: attention of new tokens over what is kept, the plain way, by gluing the new keys to the old.

The queries of earlier tokens are gone, and nobody misses them. What is asked here is the smallest cache there is; how
it should lie in memory comes later in the lesson.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given, LearnerCall
from minillm.lab.checks.cases import Contract, Property, Values, given, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding


def _step(q: Tensor, k: Tensor, v: Tensor, past_k: Tensor, past_v: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    from minillm.attention.naive import naive_attention

    keys, values = torch.cat([past_k, k]), torch.cat([past_v, v])
    return naive_attention(q[None], keys[None], values[None], causal=True)[0], keys, values  # type: ignore[return-value]


def _new(name: str, past: int, L: int, *, H: int = 4, G: int = 2, D: int = 8, strided: bool = False) -> Given:
    """Inputs for L new tokens behind `past` kept ones, cut out of one text."""
    maker = inputs.strided if strided else inputs.normal
    q, k, v = (t[0] for t in inputs.qkv(name, 1, past + L, past + L, H, G, D, maker=maker))
    return given(q[past:], k[past:], v[past:], k[:past], v[:past])


def _case(name: str, meaning: str, past: int, L: int, **shape: Any) -> Values:
    def place(index: tuple[int, ...]) -> str:
        return f"token {index[0]}, head {index[1]}, channel {index[2]}"

    return Values(name, lambda: _new(name, past, L, **shape), _step, meaning, where=place, allow_views=True)


def _any_cut(call: LearnerCall) -> Finding | None:
    q, k, v = (t[0] for t in inputs.qkv("any cut", 1, 11, 11, 4, 2, 8))
    want = _step(q, k, v, k[:0], v[:0])[0]
    for cut in ((1,) * 11, (4, 7), (5, 1, 5), (10, 1)):
        keys, values, outs, start = k[:0], v[:0], [], 0
        for count in cut:
            now = slice(start, start + count)
            out, keys, values = call(q[now], k[now], v[now], keys, values)
            outs.append(out)
            start += count
        if finding := same(torch.cat(outs), want):
            return Finding("", (("inputs", f"11 tokens in passes of {', '.join(map(str, cut))}"), *finding.facts))
    return None


STEP = Exercise(
    id="07.step",
    title="New tokens over a kept past",
    statement=(
        "The queries q (L, H, D), keys k and values v (L, G, D) are those of L new tokens; past_k and past_v (S, G, D) were "
        "kept, and S may be 0. Return the attention of the new tokens (L, H, D), and the keys and values to keep now, (S + L, G, D) each."
    ),
    signature="step(q, k, v, past_k, past_v)",
    layers={
        "contract": (Contract("returns out, keys, values", lambda: _new("contract", 3, 1), _step, allow_views=True),),
        "values": (
            _case("one token", "A new token looks at all that is kept, and at itself.", 6, 1),
            _case("the first token", "With nothing kept, the first token sees itself alone.", 0, 1),
            _case("a whole prompt", "With nothing kept this is a prefill: ordinary causal attention.", 0, 5),
            _case("a chunk", "In a chunk the new tokens see the whole past, and each other causally: bottom right.", 4, 3),
            _case("a chunk longer than the past", "New tokens see the whole past, and each other causally.", 2, 6),
            _case("heads that share", "Query head h reads key/value head h // (H // G).", 5, 2, H=6, G=3),
            _case("strided views", "The inputs are views with gaps in memory: use operations that respect strides.", 5, 2, strided=True),
        ),
        "properties": (Property("any cut", _any_cut, "However a text is cut into passes, each token's result is the same."),),
    },
    hints=(
        "A pass brings queries for the new tokens only, and needs the keys and values of all tokens.",
        "After each pass, keys and values are those of every token so far, in the order of the text.",
        "keys = the past, then k;   values = the past, then v\n"
        "out = causal attention of q (1, L, H, D) with keys and values (1, S + L, G, D);\n"
        "      ml.attention aligns causal to the bottom right\nreturn out without its batch axis, keys, values",
    ),
    solution="notebooks/solutions/lesson_07.py: step",
)  # fmt: skip
