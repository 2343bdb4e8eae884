"""The exercise 05.flash: the whole of tiled attention, judged by what it moves as much as by what it returns.

Right numbers are easy here, as naive attention has them too. The last layer asks for flash attention itself: nothing of
the size of the scores anywhere, each tile loaded once for each block of queries, and no hidden tile multiplied.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given, LearnerCall
from minillm.lab.checks.cases import Budget, Contract, Property, Values, given, same
from minillm.lab.checks.compare import number_text
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding
from minillm.measure.attention_cost import ideal_attention_bytes
from minillm.measure.tiles import tiled_attention_cost


def _attend(q: Tensor, k: Tensor, v: Tensor, causal: bool = False, block_l: int = 64, block_s: int = 64) -> Tensor:
    from minillm.attention.naive import naive_attention

    return naive_attention(q, k, v, causal=causal)  # type: ignore[return-value]


def _small_tiles(situation: inputs.Situation) -> Values:
    def make() -> Given:
        made = situation.make()
        return given(*made.args, **made.kwargs, block_l=4, block_s=2)

    return Values(situation.name, make, _attend, situation.meaning, where=inputs.tile_place(1, 4, "block of queries"))


def _any_tiles(call: LearnerCall) -> Finding | None:
    q, k, v = inputs.qkv("any tiles", B=1, L=11, S=13, H=2, G=1)
    want = _attend(q, k, v, causal=True)
    shapes = ((1, 1), (3, 5), (4, 2), (2, 8), (11, 13), (64, 64))
    findings = (same(call(q, k, v, causal=True, block_l=a, block_s=b), want) for a, b in shapes)
    return next((finding for finding in findings if finding), None)


L, H, G, D, BLOCK = 256, 2, 1, 16, 32
TILED = {causal: tiled_attention_cost(1, L, L, H, D, block_l=BLOCK, block_s=BLOCK, causal=causal, dtype_bytes=4) for causal in (False, True)}  # fmt: skip
OUT = L * H * D * 4
ON_CHIP = (2 * BLOCK * D + 2 * BLOCK * D + 6 * BLOCK * BLOCK) * 4 * 2


def _long(causal: bool) -> Given:
    return given(*inputs.qkv("budget", B=1, L=L, H=H, G=G, D=D), causal=causal, block_l=BLOCK, block_s=BLOCK)


def _budget(name: str, limits: Mapping[str, int], meaning: str, causal: bool = False) -> Budget:
    return Budget(name, lambda: _long(causal), limits, meaning)


class ReadsAll:
    """One head and one block of queries: whatever the walk, q, k and v come in once each, and what came in less was peeked at."""

    name = "nothing read behind the counters"

    def judge(self, call: LearnerCall) -> Finding | None:
        from minillm.measure.counters import count

        made = given(*inputs.qkv("one block", B=1, L=32, S=96, H=1, D=D), block_l=32, block_s=32)
        loaded = call.observe(made, count).counters.bytes_loaded
        least = ideal_attention_bytes(1, 32, 96, 1, 1, D, dtype_bytes=4).loaded
        if loaded >= least:
            return None
        facts = (("got", f"bytes_loaded {number_text(loaded)}"), ("want", f"{number_text(least)}: q, k and v once"))
        return Finding("Less was loaded than there is to read: what is on chip must come there by `load`.", facts)


FLASH = Exercise(
    id="05.flash",
    title="Flash attention in torch",
    statement=(
        "Attention of q (B, L, H, D) with k and v (B, S, G, D), causal at the bottom right if asked; G divides H. Blocks of "
        "block_l queries walk over tiles of block_s keys; each block runs inside `on_chip()`, where tiles come by `load` and "
        "go by `store`. A causal block visits only the tiles it must. State in float32 at least."
    ),
    signature="flash(q, k, v, causal=False, block_l=64, block_s=64)",
    forbid=("scaled_dot_product", "multi_head_attention", "flex_attention"),
    layers={
        "contract": (
            Contract("returns q's shape", lambda: given(*inputs.qkv("contract", L=3, S=3)), _attend),
            Contract("keeps bfloat16", lambda: given(*inputs.qkv("bf16", dtype=torch.bfloat16)), _attend),
        ),
        "values": tuple(map(_small_tiles, inputs.attention_situations(grouped=True))),
        "properties": (Property("any tiles", _any_tiles, "Tiles are how the work is cut, and must not show in the result."),),
        "resources": (
            _budget("no scores in memory", {"largest_tensor_bytes": OUT}, "Something larger than `out` was made in memory: a block's work belongs inside `with on_chip():`."),
            _budget("no scores on chip", {"peak_on_chip_bytes": ON_CHIP}, "A chip holds a block of queries and one tile of keys and values at a time, not a row of scores."),
            _budget("each tile once a block", {"bytes_loaded": TILED[False].bytes.loaded}, "More is loaded than q once, and k and v once for each block of queries."),
            ReadsAll(),
            _budget("each result once", {"bytes_stored": 2 * OUT + 4 * L * H}, "More is stored than `out`, once: divide by l before the store, on chip."),
            _budget("no hidden tile loaded", {"bytes_loaded": TILED[True].bytes.loaded}, "A causal block loads keys that none of its rows may see.", causal=True),
            _budget("no hidden tile multiplied", {"flops": TILED[True].flops * 6 // 5}, "A causal block multiplies tiles that none of its rows may see.", causal=True),
        ),
    },
    hints=(
        "Three loops over what is independent (sequence, head, block of queries), and inside them lesson 03's walk over keys. "
        "You have written both parts: which tiles, and one tile.",
        "After every tile, acc and l hold the sums over all keys of the tiles visited, measured from m. Head h of the queries "
        "reads key/value head h // (H // G).",
        "out = torch.empty_like(q)\nfor each b, h, block of rows:\n    with on_chip():\n"
        "        q_block = load(that block) in float32 or wider, times 1 / sqrt(D)\n        acc, l, m = 0, 0, -inf\n"
        "        for start in tiles to visit:\n            k_tile, v_tile = load(…), load(…)\n"
        "            s = q_block @ k_tile.T, and -inf where hidden (only if causal)\n            acc, l, m = one_tile(acc, l, m, s, v_tile)\n"
        "        store(the block of out, acc / l, with l = 0 replaced by 1)",
    ),
    solution="minillm/attention/tiled.py, and notebooks/solutions/lesson_05.py",
    time_limit_s=60.0,
)  # fmt: skip
