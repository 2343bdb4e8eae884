"""The exercise 01.query_chunks: the same attention, but only a few rows of the score table exist at a time.

Right numbers are the smaller half of it. Four budgets ask for the technique: no large tensor, little alive at once, the
keys read once a chunk, and no key multiplied that nobody may see.
"""

from __future__ import annotations

import torch

from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given, LearnerCall
from minillm.lab.checks.cases import Budget, Contract, Property, Values, given, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding


def _chunked(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool = False, chunk: int = 64) -> torch.Tensor:
    from minillm.attention.naive import naive_attention

    return naive_attention(q, k, v, causal=causal)  # type: ignore[return-value]


def _two_rows_at_a_time(situation: inputs.Situation) -> Values:
    def make() -> Given:
        made = situation.make()
        return given(*made.args, **made.kwargs, chunk=2)

    return Values(situation.name, make, _chunked, situation.meaning, where=inputs.tile_place(1, 2, "chunk"))


def _chunk_sizes(call: LearnerCall) -> Finding | bool | None:
    q, k, v = inputs.qkv("chunk sizes", B=1, L=11, S=13)
    want = _chunked(q, k, v, causal=True)
    findings = (same(call(q, k, v, causal=True, chunk=chunk), want) for chunk in (1, 3, 4, 11, 64))
    return next((finding for finding in findings if finding), None)


# L = S = 512, H = 2, D = 16, 16 rows a chunk: the scores of a chunk and a head-wide q, k or v have 64 KiB each.
_CHUNK_SCORES = 2 * 16 * 512 * 4
_TABLE = 2 * 512 * 512 * 4


def _chunk_budget(name: str, limits: dict[str, int], meaning: str, causal: bool = True) -> Budget:
    def make() -> Given:
        return given(*inputs.qkv("chunk budget", B=1, L=512, S=512, H=2, D=16), causal=causal, chunk=16)

    return Budget(name, make, limits, meaning)


QUERY_CHUNKS = Exercise(
    id="01.query_chunks",
    title="Causal attention, a chunk of queries at a time",
    statement=(
        "Attention as in 01.attention, but for `chunk` query rows at a time: nothing with L × S numbers is ever alive, "
        "whatever the chunk the result is the same, and a causal chunk multiplies only the keys that one of its rows may see."
    ),
    signature="query_chunks(q, k, v, causal=False, chunk=64)",
    forbid=("scaled_dot_product", "multi_head_attention", "flex_attention"),
    layers={
        "contract": (
            Contract("returns q's shape", lambda: given(*inputs.qkv("contract", L=3, S=3), chunk=2), _chunked),
            Contract("keeps bfloat16", lambda: given(*inputs.qkv("bf16", dtype=torch.bfloat16), chunk=2), _chunked),
        ),
        "values": tuple(map(_two_rows_at_a_time, inputs.attention_situations())),
        "properties": (
            Property("chunk size", _chunk_sizes, "The chunk is how the work is cut, and must not show in the result."),
        ),
        "resources": (
            _chunk_budget(
                "no large tensor",
                {"largest_tensor_bytes": 2 * _CHUNK_SCORES},
                "One tensor is larger than the scores of a chunk: neither the scores nor the mask may have L × S numbers.",
            ),
            _chunk_budget(
                "little alive at once",
                {"peak_bytes": _TABLE // 2},
                "Every chunk's scores are small, but too many are kept: use them and let them go.",
                causal=False,
            ),
            _chunk_budget(
                "keys read once a chunk",
                {"bytes_loaded": 32 * 2**20},
                "The keys and values are read too often: the rows of one chunk share one reading of them.",
                causal=False,
            ),
            _chunk_budget(
                "no hidden keys multiplied",
                {"flops": 6 * (4 * 2 * 512 * 512 * 16) // 10},
                "Half of the table is hidden, and a key that no row of the chunk may see need not be multiplied.",
            ),
        ),
    },
    hints=(
        "A row of attention needs every key but no other row, so rows can be done in groups, and each group's scores "
        "forgotten before the next.",
        "The last row of a chunk that ends before row `stop` sees the first stop + S − L keys. With just those keys the "
        "chunk is itself a causal problem aligned to the bottom right. That number can be negative, and a slice "
        "`[:-1]` means something else.",
        "out = zeros like q\n"
        "for start in 0, chunk, 2·chunk, … below L:\n"
        "    stop = the smaller of start + chunk and L\n"
        "    seen = stop + S − L, but not below 0 (all S if not causal)\n"
        "    out rows start to stop = attention of those rows of q with the first `seen` keys and values\n"
        "return out",
    ),
    solution="notebooks/solutions/lesson_01.py: query_chunks",
)
