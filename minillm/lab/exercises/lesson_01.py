"""Exercises of lesson 01: attention, written from scratch, and the memory its score table takes."""

from __future__ import annotations

import torch

from minillm.lab import inputs
from minillm.lab.check_call import LearnerCall
from minillm.lab.check_cases import Budget, Contract, Property, given, same
from minillm.lab.check_exercise import Exercise
from minillm.lab.check_result import Finding


def _attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool = False) -> torch.Tensor:
    from minillm.attention.naive import naive_attention

    return naive_attention(q, k, v, causal=causal)  # type: ignore[return-value]


def _key_order(call: LearnerCall) -> Finding | bool | None:
    q, k, v = inputs.qkv("key order", B=1, L=4, S=9)
    order = torch.randperm(9, generator=inputs.generator("key order"))
    return same(call(q, k[:, order], v[:, order]), call(q, k, v))


def _constant_values(call: LearnerCall) -> Finding | bool | None:
    q, k, v = inputs.qkv("constant values", L=6, S=6)
    return same(call(q, k, torch.ones_like(v), causal=True), torch.ones_like(q))


def _unseen_keys(call: LearnerCall) -> Finding | bool | None:
    q, k, v = inputs.qkv("unseen keys", B=1, L=6, S=6)
    louder_k, louder_v = k.clone(), v.clone()
    louder_k[:, 4:], louder_v[:, 4:] = 50.0, 1e4
    return same(call(q, louder_k, louder_v, causal=True)[:, :4], call(q, k, v, causal=True)[:, :4])


ATTENTION = Exercise(
    id="01.attention",
    title="Attention from scratch",
    statement=(
        "Write attention for q (B, L, H, D) and k, v (B, S, H, D): scores, scale, mask, softmax, mix. Causal is aligned to the "
        "bottom right, a row that sees nothing gives 0, and nothing larger than the scores is stored."
    ),
    signature="attention(q, k, v, causal=False)",
    forbid=("scaled_dot_product", "multi_head_attention", "flex_attention"),
    layers={
        "contract": (
            Contract("returns q's shape", lambda: given(*inputs.qkv("contract", L=4, S=4)), _attention),
            Contract("keeps float64", lambda: given(*inputs.qkv("float64", dtype=torch.float64)), _attention),
            Contract("keeps bfloat16", lambda: given(*inputs.qkv("bfloat16", dtype=torch.bfloat16)), _attention),
        ),
        "values": inputs.attention_values(_attention),
        "properties": (
            Property(
                "key order",
                _key_order,
                "Attention without a mask does not know the order of the keys: shuffle k and v alike and nothing changes.",
            ),
            Property(
                "constant values",
                _constant_values,
                "Each row's weights sum to 1, so values that are all 1 must give 1.",
            ),
            Property(
                "unseen keys", _unseen_keys, "What a causal row may not see must not reach it, however loud it is."
            ),
        ),
        "resources": (
            Budget(
                "stores no more than the scores",
                lambda: given(*inputs.qkv("budget", B=1, L=64, S=64, H=2, D=32)),
                {"largest_tensor_bytes": 2 * 64 * 64 * 4},
                "The largest tensor may be the (B, H, L, S) scores: multiplying q and k before summing stores D times that.",
            ),
        ),
    },
    hints=(
        "Each query asks every key how well it fits (a dot product), turns the answers into weights that sum to 1, and "
        "takes that weighted average of the values.",
        "After the softmax every row that sees at least one key sums to 1, and a hidden key has weight exactly 0. "
        "Query i sees key j when j <= i + S - L.",
        "scores = q and k with heads before length, times 1/sqrt(D)     # (B, H, L, S)\n"
        "if causal: scores where j > i + S - L become -inf\n"
        "weights = softmax over the last axis, and 0 where a whole row was -inf\n"
        "return weights @ v, with the axes back in (B, L, H, D)",
    ),
    solution="minillm/attention/naive.py: naive_attention",
)

EXERCISES = (ATTENTION,)
