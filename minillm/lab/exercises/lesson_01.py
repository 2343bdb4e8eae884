"""Exercises of lesson 01: attention, written from scratch, and the memory its score table takes."""

from __future__ import annotations

import torch

from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given, LearnerCall
from minillm.lab.checks.cases import Budget, Contract, Numbers, Property, Values, given, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding
from minillm.lab.exercises.query_chunks import QUERY_CHUNKS


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

SCORE_BYTES = Exercise(
    id="01.score_bytes",
    title="How large is the score table?",
    statement=(
        "Return the bytes of one table of scores: `num_heads` heads, `batch` sequences, `query_length` rows and "
        "`key_length` columns, `element_bytes` bytes a number."
    ),
    signature="score_bytes(batch, num_heads, query_length, key_length, element_bytes=2)",
    layers={
        "contract": (
            Numbers("one score", (1, 1, 1, 1), want=2, unit="bytes", meaning="One bfloat16 number has 2 bytes."),
        ),
        "values": (
            Numbers(
                "rows and columns",
                (1, 1, 10, 30),
                want=600,
                unit="bytes",
                meaning="Every query scores every key: L rows times S columns, and L need not be S.",
            ),
            Numbers(
                "every head has a table",
                (1, 32, 8192, 8192),
                want=4 * 2**30,
                unit="bytes",
                meaning="No two heads share a table: there are H of them for each sequence.",
            ),
            Numbers(
                "every sequence has its tables",
                (16, 8, 128, 128),
                want=4 * 2**20,
                unit="bytes",
                meaning="A batch of B sequences has B times the tables of one.",
            ),
            Numbers(
                "float32",
                (2, 4, 100, 300),
                want=960_000,
                unit="bytes",
                kwargs={"element_bytes": 4},
                meaning="The bytes of one number are an argument.",
            ),
        ),
    },
    hints=(
        "The table has one number for each pair of a query and a key, in each head of each sequence.",
        "Double the length of a sequence and the table has four times the bytes.",
        "numbers = sequences × heads × rows × columns\nreturn numbers × bytes of one number",
    ),
    solution="minillm/measure/attention_cost.py: score_bytes",
)


def _always_causal(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return _attention(q, k, v, causal=True)


def _last_query_alone(call: LearnerCall) -> Finding | bool | None:
    q, k, v = inputs.qkv("last query alone", L=6, S=6)
    return same(call(q[:, -1:], k, v), call(q, k, v)[:, -1:])


def _silent_future(call: LearnerCall) -> Finding | bool | None:
    q, k, v = inputs.qkv("silent future", B=1, L=6, S=6)
    louder = v.clone()
    louder[:, 4:] = 1e4
    return same(call(q, k, louder)[:, :4], call(q, k, v)[:, :4])


_CLINIC_CASES = tuple(
    Values(s.name, lambda s=s: Given(s.make().args), _always_causal, s.meaning, where=inputs.attention_place)  # type: ignore[misc]
    for s in inputs.attention_situations()
    if s.make().kwargs
)

CLINIC = Exercise(
    id="01.clinic",
    title="Clinic: a masked attention with three faults",
    statement="Mend the patient: causal attention, aligned to the bottom right, in which a row that sees nothing gives 0.",
    signature="mended(q, k, v)",
    forbid=("scaled_dot_product", "multi_head_attention", "flex_attention"),
    layers={
        "contract": (
            Contract("returns q's shape", lambda: given(*inputs.qkv("contract", L=3, S=3)), _always_causal),
            Contract("keeps bfloat16", lambda: given(*inputs.qkv("bf16", dtype=torch.bfloat16)), _always_causal),
        ),
        "values": _CLINIC_CASES,
        "properties": (
            Property(
                "last query alone",
                _last_query_alone,
                "The last query sees every key, whether the queries before it are in the call or not.",
            ),
            Property("silent future", _silent_future, "A hidden value must not reach a row, however loud it is."),
        ),
    },
    hints=(
        "Three lines are wrong, and each symptom on the page points at one: what does D = 1 hide? what does L = S hide?",
        "Query i sees key j when j <= i + S − L. The spread of a score must not depend on D. Softmax of equal numbers is "
        "uniform, however negative they are.",
        "divide the scores by sqrt(D)\n"
        "keep the lower triangle that ends in the bottom right corner: torch.tril has a second argument\n"
        "hide with -inf, and turn the NaN of a row that saw nothing into 0",
    ),
    solution="notebooks/solutions/lesson_01.py: mended",
)

EXERCISES = (ATTENTION, SCORE_BYTES, QUERY_CHUNKS, CLINIC)
