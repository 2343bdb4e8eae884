"""The exercises 08.decode and 08.rows: one query a text, in torch by tiles and in Triton, judged by the bytes it loads.

Right numbers are easy here: one program a query head has them. What is asked for is that a key/value head is fetched
once, however many query heads share it, and that nothing grows with the length but time.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given, LearnerCall
from minillm.lab.checks.cases import Budget, Contract, Property, Values, given, same
from minillm.lab.checks.compare import number_text
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding
from minillm.lab.exercises.kernel_cases import KernelCase, launch_of


def _decode(q: Tensor, k: Tensor, v: Tensor, block_s: int = 64) -> Tensor:
    from minillm.attention.naive import naive_attention

    out = naive_attention(q[:, None], k, v)
    assert isinstance(out, Tensor)
    return out[:, 0]


def _step(purpose: str, *, dtype: torch.dtype = torch.float32, maker=inputs.normal, **shape):  # type: ignore[no-untyped-def]
    """q (B, H, D) and k, v (B, S, G, D) of one step of decoding."""
    q, k, v = inputs.qkv(purpose, **{"B": 2, "L": 1, "S": 7, "H": 6, "G": 2, **shape}, dtype=dtype, maker=maker)
    return q[:, 0], k, v


def _case(name: str, meaning: str, *, maker=inputs.normal, block_s: int = 3, **shape) -> Values:  # type: ignore[no-untyped-def]
    def make() -> Given:
        return given(*_step(name, maker=maker, **shape), block_s=block_s)

    return Values(name, make, _decode, meaning, where=_place)


def _place(index: tuple[int, ...]) -> str:
    return ", ".join(f"{axis} {i}" for axis, i in zip(("text", "head", "channel"), index, strict=False))


def _loud() -> Given:
    made = inputs.large_logits("loud decode", B=1, L=1, S=9, H=6, G=2)
    q, k, v = made.args
    return given(q[:, 0], k, v, block_s=2)


def _any_tile(call: LearnerCall) -> Finding | None:
    q, k, v = _step("any tile", B=1, S=13)
    want = _decode(q, k, v)
    findings = (same(call(q, k, v, block_s=block_s), want) for block_s in (1, 2, 5, 13, 64))
    return next((finding for finding in findings if finding), None)


def _own_group(call: LearnerCall) -> Finding | None:
    q, k, v = _step("own group", H=6, G=3)
    louder = v.clone()
    louder[:, :, 1] += 10.0
    others = [0, 1, 4, 5]
    return same(call(q, k, louder)[:, others], call(q, k, v)[:, others])


B, S, H, G, D, BLOCK = 2, 256, 8, 2, 16, 32
OUT = B * H * D * 4
ONCE = OUT + 2 * B * S * G * D * 4
ON_CHIP = (2 * BLOCK * D + 6 * (H // G) * max(D, BLOCK)) * 4 * 2


def _long() -> Given:
    return given(*_step("long", B=B, S=S, H=H, G=G, D=D), block_s=BLOCK)


def _longer() -> Given:
    """A text sixteen times as long, in the same tiles: what lies on chip must not grow with it."""
    return given(*_step("longer", B=1, S=16 * S, H=H // G, G=1, D=D), block_s=BLOCK)


def _budget(name: str, limits: Mapping[str, int], meaning: str) -> Budget:
    return Budget(name, _long, limits, meaning)


class ReadsAll:
    """Whatever the walk, every query, key and value has to come on chip once: what came in less was read without `load`."""

    name = "nothing read behind the counters"

    def judge(self, call: LearnerCall) -> Finding | None:
        from minillm.measure.counters import count

        loaded = call.observe(_long(), count).counters.bytes_loaded
        if loaded >= ONCE:
            return None
        facts = (("got", f"bytes_loaded {number_text(loaded)}"), ("want", f"{number_text(ONCE)}: q, k and v once"))
        return Finding("Less was loaded than there is to read: what is on chip must come there by `load`.", facts)


DECODE = Exercise(
    id="08.decode",
    title="Decode, and fetch each key once",
    statement=(
        "One query a text: q (B, H, D) with k and v (B, S, G, D) -> (B, H, D), head h reading key/value head h // (H / G). A "
        "program, inside `on_chip()`, walks over tiles of block_s keys of one key/value head; tiles come by `load`, the "
        "result goes by `store`, and q, k and v are each loaded once. State in float32 at least."
    ),
    signature="decode(q, k, v, block_s=64)",
    forbid=("scaled_dot_product", "multi_head_attention", "flex_attention"),
    layers={
        "contract": (
            Contract("returns q's shape", lambda: given(*_step("contract")), _decode),
            Contract("keeps bfloat16", lambda: given(*_step("16", dtype=torch.bfloat16)), _decode),
        ),
        "values": (
            _case("three heads a group", "Scores are q·k over the root of D, softmax runs over all keys, and the weights mix v."),
            _case("a head each", "With G = H every group has one row.", H=3, G=3),
            _case("one key/value head", "With G = 1 all heads are rows of one tile.", H=5, G=1),
            _case("one key", "A single key has weight 1.", S=1),
            _case("a ragged last tile", "The last tile is shorter: 10 keys in tiles of 4.", S=10, block_s=4),
            _case("strided views", "The inputs are views with gaps in memory.", maker=inputs.strided),
            Values("logits of ±100", _loud, _decode, "exp of a large score overflows: measure from the largest so far, and let the sums shrink.", where=_place),
        ),
        "properties": (
            Property("any tile", _any_tile, "Tiles are how the work is cut, and must not show in the result."),
            Property("only its group", _own_group, "With H = 6 and G = 3, key/value head 1 is read by query heads 2 and 3 alone."),
        ),
        "resources": (
            _budget("no copy in memory", {"largest_tensor_bytes": OUT}, "Something larger than `out` was made in memory: expanded keys, or a row of scores. The work belongs inside `with on_chip():`."),
            _budget("a tile at a time", {"peak_on_chip_bytes": ON_CHIP}, "A chip holds a group's queries and one tile of keys and values, whatever S is."),
            Budget("whatever the length", _longer, {"peak_on_chip_bytes": ON_CHIP}, "What lies on chip grows with the text: a row of scores as long as the text? Fold each tile into the state, and let it go."),
            _budget("each key once", {"bytes_loaded": ONCE}, "More is loaded than q, k and v once. Let the query heads that share a key/value head be the rows of one tile, and let their state stay on chip."),
            ReadsAll(),
            _budget("each result once", {"bytes_stored": OUT}, "More is stored than `out`, once."),
        ),
    },
    hints=(
        "Lesson 05's walk with other rows. There, the rows of a tile were queries of one head; here there is one query a "
        "head, and the rows are the heads that share keys.",
        "Query heads g·R to g·R + R - 1, with R = H / G, are the rows of key/value head g. After every tile acc (R, D) and "
        "l (R,) hold the sums so far, measured from m (R,).",
        "out = torch.empty_like(q)\nfor each text b and key/value head g:\n    with on_chip():\n"
        "        rows = load(q[b, g*R : (g+1)*R]) in float32 or wider, times 1 / sqrt(D)      # (R, D)\n"
        "        acc, l, m = 0, 0, -inf\n        for each tile of k[b, :, g] and v[b, :, g], loaded once:\n"
        "            s = rows @ k_tile.T                                                  # (R, tile)\n"
        "            acc, l, m = lesson 05's update\n        store(out[b, g*R : (g+1)*R], acc / l)",
    ),
    solution="minillm/attention/tiled_decode.py, and notebooks/solutions/lesson_08.py",
)  # fmt: skip


def _rows_oracle(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    R = q.shape[0] // k.shape[1]
    scores = torch.einsum("hd,shd->hs", q, k.repeat_interleave(R, 1)) / math.sqrt(q.shape[1])
    return torch.einsum("hs,shd->hd", scores.softmax(-1), v.repeat_interleave(R, 1))


def _spread(purpose: str, S: int, G: int, D: int) -> Tensor:
    """(S, G, D) with D contiguous, and a stride of its own a purpose between rows."""
    return inputs.normal(purpose, S, G, D + 8 * (1 + len(purpose) % 2))[..., :D]


def _rows(name: str, H: int, G: int, S: int, D: int, loud: float = 1.0, below: bool = False) -> Given:
    """q (H, D), k and v (S, G, D) between walls; scores are `loud` times as large, and all far `below` 0 if asked for."""
    q, k, v = inputs.normal(f"{name} q", H, D), _spread(f"{name} k", S, G, D), _spread(f"{name} va", S, G, D)
    if below:
        q = -q.abs()
        k.abs_()
    return launch_of(loud * q, k, v, out=torch.empty(H, D))


def _rows_case(
    name: str, meaning: str, H: int, G: int, S: int, D: int = 16, limits=None, scores=None, **more: bool
) -> KernelCase:  # type: ignore[no-untyped-def]
    make = lambda: _rows(name, H, G, S, D, **(scores or {}))  # noqa: E731
    place = lambda where: f"head {where[0]}, channel {where[1]}"  # noqa: E731
    return KernelCase(name, make, _rows_oracle, meaning, limits or {}, where=place, **more)


LOADED = (16 * 16 + 2 * 50 * 4 * 16) * 4

ROWS = Exercise(
    id="08.rows",
    title="A group is the rows of one tile",
    statement=(
        "The step in Triton, for one text of at most 64 keys, all in one tile: q (H, D), k and v (S, G, D) -> out (H, D), "
        "float32, D a power of two from 16 and contiguous, other strides any. One program a key/value head; H / G is any "
        "number up to 16, and `tl.dot` wants 16 rows, so some of them are padding."
    ),
    signature="decode_rows(q, k, v, out)",
    interpreted=True,
    layers={
        "contract": (_rows_case("fills out", "Launch a kernel that fills `out`.", 4, 2, 8, kind_only=True),),
        "values": (
            _rows_case("sixteen heads a group", "Scores are q·k over the root of D, softmax runs over the keys.", 32, 2, 64),
            _rows_case("four heads a group", "Rows beyond the group are padding: they must not reach memory that is another head's.", 12, 3, 64),
            _rows_case("five heads, 37 keys", "Keys beyond S are not there: their scores are minus infinity, and their values 0.", 10, 2, 37),
            _rows_case("a head each, one key", "With one key its weight is 1.", 3, 3, 1),
            _rows_case("logits of ±100", "exp of a large score overflows: subtract the row's maximum first.", 6, 2, 37, scores={"loud": 40.0}),
            _rows_case("far below zero", "Every real score is far below 0, and so is their maximum: hide the keys that are not there before you take it.", 6, 2, 37, scores={"loud": 60.0, "below": True}),
            _rows_case("wider heads", "D is 32 here, and so is the root's argument.", 6, 2, 20, 32),
        ),
        "resources": (
            _rows_case("each key once", "k and v are to be loaded once each, q too.", 16, 4, 50, limits={"bytes_loaded": (LOADED, LOADED)}),
            _rows_case("one program a key/value head", "G programs, each for all the heads of its group.", 16, 4, 50, limits={"programs": (4, 4)}),
            _rows_case("written once", "`out` is to be stored once.", 16, 4, 50, limits={"bytes_stored": (16 * 16 * 4, 16 * 16 * 4)}),
        ),
    },
    hints=(
        "The tile of queries has 16 rows. Row r of program g is query head g·R + r, with R = H / G, if r < R.",
        "Two masks: rows below R, keys below S. The first guards the load of q and the store of out; the second guards k "
        "and v, and turns scores into minus infinity.",
        "g = tl.program_id(0); offs_r = tl.arange(0, 16); offs_s = tl.arange(0, 64); offs_d = tl.arange(0, D)\n"
        "heads = g * R + offs_r\nq = tl.load(q_ptr + heads[:, None] * stride_qh + offs_d, mask=(offs_r < R)[:, None], other=0.0)\n"
        "k = tl.load(…, mask=(offs_s < S)[:, None], other=0.0)        # (64, D), and v alike\n"
        's = tl.dot(q, tl.trans(k), input_precision="ieee") / sqrt(D), and -inf where offs_s >= S\n'
        "p = tl.exp(s - tl.max(s, 1)[:, None])\nout = tl.dot(p, v, input_precision=\"ieee\") / tl.sum(p, 1)[:, None]\n"
        "tl.store(out_ptr + heads[:, None] * stride_oh + offs_d, out, mask=(offs_r < R)[:, None])",
    ),
    solution="kernels/flash_decode.py, and notebooks/solutions/lesson_08.py",
    time_limit_s=60.0,
)  # fmt: skip
