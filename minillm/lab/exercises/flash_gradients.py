"""The exercises 06.dkdv and 06.clinic: gradients of attention from what flash attention kept, a tile of keys at a time.

Right answers come from float64 autograd, so no formula of this file can be wrong in the same way as a learner's. Most of
the cases are shapes on which a backward that looks right is not: shared heads, L and S apart, rows that see nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from minillm.attention.naive import naive_attention
from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given, LearnerCall
from minillm.lab.checks.cases import Budget, Contract, Property, Values, given, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding

INF = math.inf


def attention_inputs(name: str, L: int, S: int, H: int, G: int, D: int = 4, loud: float = 1.0) -> tuple[Tensor, ...]:
    """q and dout (L, H, D), k and v (S, G, D), in float32."""
    q, k, v = (x[0] for x in inputs.qkv(name, B=1, L=L, S=S, H=H, G=G, D=D))
    return q * loud, k, v, inputs.normal(f"{name} dout", L, H, D)


def forward(q: Tensor, k: Tensor, v: Tensor, causal: bool, scale: float) -> tuple[Tensor, Tensor]:
    """q (L, H, D), k and v (S, G, D) -> out (L, H, D) and lse (H, L), in float64."""
    wide = (x.double()[None] for x in (q, k, v))
    out, lse = naive_attention(*wide, causal=causal, scale=scale, return_lse=True)
    return out[0], lse[0]


def gradients(q: Tensor, k: Tensor, v: Tensor, dout: Tensor, causal: bool, scale: float) -> tuple[Tensor, ...]:
    """dq (L, H, D), dk and dv (S, G, D), by float64 autograd of the naive form."""
    q, k, v = (x.detach().double().requires_grad_() for x in (q, k, v))
    with torch.enable_grad():
        out, _ = forward(q, k, v, causal, scale)
        return torch.autograd.grad(out, (q, k, v), dout.double())


def _of_one_tile(
    k: Tensor, v: Tensor, q: Tensor, dout: Tensor, lse: Tensor, delta: Tensor, scale: float, block_l: int
) -> tuple[Tensor, Tensor]:
    s = torch.einsum("lhd,sd->hls", q, k) * scale
    p = (s - lse.masked_fill(lse == -INF, INF)[..., None]).exp()
    dp = torch.einsum("lhd,sd->hls", dout, v)
    ds = p * (dp - delta[..., None])
    return torch.einsum("hls,lhd->sd", ds, q) * scale, torch.einsum("hls,lhd->sd", p, dout)


def _tile(
    name: str,
    L: int = 6,
    heads: int = 1,
    rows: int = 4,
    others: int = 5,
    scale: float = 0.5,
    block_l: int = 4,
    loud: float = 1.0,
    blind: int = 0,
    D: int = 4,
) -> Given:
    """A tile of `rows` keys, of `others` more that the rows saw too; the first `blind` rows saw nothing at all."""
    q, k, v, dout = attention_inputs(name, L, rows + others, heads, 1, D, loud)
    out, lse = forward(q, k, v, False, scale)
    delta = (out * dout.double()).sum(-1).T.contiguous()
    lse[:, :blind], delta[:, :blind] = -INF, 0.0
    return given(k[:rows, 0].clone(), v[:rows, 0].clone(), q, dout, lse.float(), delta.float(), scale, block_l)


def _tile_case(name: str, meaning: str, loud: float = 1.0, **shape) -> Values:  # type: ignore[no-untyped-def]
    # A float32 lse of a few hundred is off by some 1e-5, and p with it by as much of itself.
    tolerance = (1e-3, 1e-3) if loud > 100 else None
    make = lambda: _tile(name, loud=loud, **shape)  # noqa: E731
    return Values(name, make, _of_one_tile, meaning, tolerance, where=lambda index: f"key {index[0]}")


def _block_does_not_show(call: LearnerCall) -> Finding | bool | None:
    made = _tile("block does not show", L=13, heads=2)
    want = _of_one_tile(*made.args)
    findings = (same(call(*made.args[:-1], block), want) for block in (1, 3, 8, 13, 64))
    return next((finding for finding in findings if finding), None)


def _adds_up_to_autograd(call: LearnerCall) -> Finding | bool | None:
    q, k, v, dout = attention_inputs("adds up", 9, 11, 3, 1)
    out, lse = forward(q, k, v, False, 0.3)
    delta = (out * dout).sum(-1).T.float().contiguous()
    _, dk, dv = gradients(q, k, v, dout, False, 0.3)
    parts = [call(k[j : j + 4, 0], v[j : j + 4, 0], q, dout, lse.float(), delta, 0.3, 4) for j in (0, 4, 8)]
    got = tuple(torch.cat(tiles) for tiles in zip(*parts, strict=True))
    return same(got, (dk[:, 0].float(), dv[:, 0].float()))


_LONG = {"L": 512, "heads": 2, "rows": 16, "others": 16, "block_l": 16, "D": 16}
_TILE_BYTES = 4 * 16 * 16

DKDV = Exercise(
    id="06.dkdv",
    title="One tile of keys gathers its gradients",
    statement=(
        "k and v (block_s, D) are one tile of keys; q and dout (L, heads, D), lse and delta (heads, L) belong to all the query "
        "heads that share these keys, none of them masked. Return dk and dv (block_s, D) of the tile, going through the "
        "queries `block_l` rows at a time. A row whose lse is -inf saw nothing and gives nothing."
    ),
    signature="dkdv(k, v, q, dout, lse, delta, scale, block_l)",
    forbid=("softmax", "scaled_dot_product", "flex_attention"),
    layers={
        "contract": (
            Contract("returns dk and dv", lambda: _tile("contract"), _of_one_tile),
            Contract(
                "keeps float64",
                lambda: given(*(x.double() if isinstance(x, Tensor) else x for x in _tile("float64").args)),
                _of_one_tile,
            ),
        ),
        "values": (
            _tile_case("one block, one head", "p is exp(score - lse), ds is p · (dp - delta), and dk has the factor `scale` once.", L=4),
            _tile_case("two blocks", "The tile gathers from every block of queries: dk and dv add up.", L=8),
            _tile_case("a short last block", "6 rows in blocks of 4: the last block has 2.", L=6),
            _tile_case("shared by three heads", "Three query heads read these keys: the gradients of all three add up.", heads=3),
            _tile_case("another scale", "A score is scale · q·k, so dk has the factor `scale`, once; dv has none.", scale=2.0, loud=0.3),
            _tile_case("all keys in one tile", "With no other keys the tile sees the whole row.", others=0),
            _tile_case("large scores", "exp(score) overflows: subtract lse before the exponential.", loud=200.0),
            _tile_case("rows that saw nothing", "lse is -inf there, and exp(s - -inf) is infinite: such rows must count as 0.", blind=2),
        ),
        "properties": (
            Property("the block does not show", _block_does_not_show, "Any block_l gives the same result."),
            Property("tiles make up autograd's answer", _adds_up_to_autograd, "The tiles, put together, are float64 autograd's dk and dv."),
        ),
        "resources": (
            Budget(
                "holds a tile of scores",
                lambda: _tile("budget", **_LONG),  # type: ignore[arg-type]
                {"largest_tensor_bytes": 4 * _TILE_BYTES},
                "Scores of more than one block of queries were alive in one tensor: take block_l rows of one head at a time.",
            ),
            Budget(
                "forgets the tiles it used",
                lambda: _tile("budget", **_LONG),  # type: ignore[arg-type]
                {"peak_bytes": 16 * _TILE_BYTES},
                "Each tile is small, but too many are kept: add to dk and dv at once, and let the tile go.",
            ),
            Budget(
                "four dots a tile",
                lambda: _tile("budget", **_LONG),  # type: ignore[arg-type]
                {"flops": 8 * 512 * 2 * 16 * 16},
                "q·k, dv, dp and dk are all the products a tile needs.",
            ),
        ),
    },
    hints=(
        "The tile stays, the queries pass by. Whoever saw these keys sends something back: collect it.",
        "For a block of rows of one head: p (rows, block_s) is exp(scale · q kᵀ - lse). What it adds to dv is pᵀ dout; what it "
        "adds to dk is dsᵀ q, where ds = p · (dout vᵀ - delta). Nothing of the block is needed afterwards.",
        "dk, dv = zeros like k, zeros like v\nfor each of the heads:\n    for first in range(0, L, block_l):\n"
        "        p = exp(scale · q kᵀ - lse of these rows), 0 where lse is -inf\n        dv += pᵀ dout\n"
        "        dk += (p · (dout vᵀ - delta))ᵀ q\nreturn dk · scale, dv",
    ),
    solution="minillm/attention/tiled_backward.py: dkdv_tile, and notebooks/solutions/lesson_06.py: dkdv",
)  # fmt: skip


def _backward(
    q: Tensor, k: Tensor, v: Tensor, dout: Tensor, out: Tensor, lse: Tensor, scale: float, tile: int
) -> tuple[Tensor, ...]:
    return gradients(q, k, v, dout, True, scale)


def _call(name: str, L: int = 6, S: int = 6, H: int = 2, G: int = 2, scale: float = 1.0, tile: int = 4) -> Given:
    q, k, v, dout = attention_inputs(name, L, S, H, G)
    out, lse = forward(q, k, v, True, scale)
    return given(q, k, v, dout, out.float(), lse.float(), scale, tile)


def _backward_case(name: str, meaning: str, **shape) -> Values:  # type: ignore[no-untyped-def]
    return Values(name, lambda: _call(name, **shape), _backward, meaning)


def _tile_does_not_show(call: LearnerCall) -> Finding | bool | None:
    made = _call("tile does not show", L=5, S=9, H=4, G=2, scale=0.5)
    want = tuple(x.float() for x in _backward(*made.args))
    findings = (same(call(*made.args[:-1], tile), want) for tile in (1, 2, 5, 9, 64))
    return next((finding for finding in findings if finding), None)


def _heads_alike(call: LearnerCall) -> Finding | bool | None:
    """Two query heads that are the same, on shared keys: dk and dv are twice those of one of them."""
    q, k, v, dout = attention_inputs("heads alike", 5, 5, 1, 1)
    out, lse = (x.float() for x in forward(q, k, v, True, 0.5))
    one = call(q, k, v, dout, out, lse, 0.5, 2)
    twice = (x.repeat(1, 2, 1) for x in (q, dout, out))
    q2, dout2, out2 = twice
    two = call(q2, k, v, dout2, out2, lse.repeat(2, 1), 0.5, 2)
    return same(two[1:], (2 * one[1], 2 * one[2]))


def _long() -> Given:
    return _call("budget", L=128, S=128, H=2, G=1, tile=8)


CLINIC = Exercise(
    id="06.clinic",
    title="Clinic: gradients that are right at home",
    statement=(
        "Mend the patient, the backward of causal attention aligned at the bottom right: q, dout, out (L, H, D), k and v "
        "(S, G, D), lse (H, L) -> dq, dk, dv, in tiles of `tile` keys. A row that sees nothing has lse -inf and no gradients."
    ),
    signature="mended(q, k, v, dout, out, lse, scale, tile)",
    forbid=("softmax", "scaled_dot_product", "flex_attention"),
    layers={
        "contract": (Contract("returns dq, dk and dv", lambda: _call("contract"), _backward),),
        "values": (
            _backward_case("as the author tested", "H = G, L = S, scale = 1: this worked before."),
            _backward_case("another scale", "dq and dk each have the factor `scale` once. How often has it been applied?", scale=0.5),
            _backward_case("shared keys", "Two query heads read each key: what the second sends back must not erase the first.", H=4, G=2),
            _backward_case("more keys than queries", "The last query stands at the last key: row i sees key j if j ≤ i + S - L.", L=3, S=8),
            _backward_case("more queries than keys", "The first L - S rows see nothing: lse is -inf, and -inf - -inf is NaN.", L=7, S=4),
            _backward_case("one query", "A lone query stands at the last key and sees them all.", L=1, S=6, scale=0.5),
            _backward_case("all at once", "Shared keys, S > L, another scale and a short last tile together.", L=4, S=10, H=6, G=2, scale=0.3),
        ),
        "properties": (
            Property("the tile does not show", _tile_does_not_show, "Any tile size gives the same gradients."),
            Property("twice the same head", _heads_alike, "A second query head just like the first doubles dk and dv."),
        ),
        "resources": (
            Budget(
                "no table of scores",
                _long,
                {"largest_tensor_bytes": 128 * 128 * 2},
                "Something of size L × S was stored: keep to tiles of `tile` keys.",
            ),
        ),
    },
    hints=(
        "Vary one thing at a time from the author's test, and see which of dq, dk and dv goes wrong: two of the faults spoil "
        "dk, each with something the others do not.",
        "s = scale · q·k, so dq = scale · ds k and dk = scale · dsᵀ q, with the plain q. A key's gradient is a sum over every "
        "row of every query head that reads it. Row i stands at key i + S - L.",
        "keep q as it is, and put the scale into s\nsee keys up to arange(L) + S - L\n"
        "lse = +inf where it is -inf, so that p is 0 there\ndv[…] += and dk[…] +=",
    ),
    solution="notebooks/solutions/lesson_06.py: mended",
)  # fmt: skip
