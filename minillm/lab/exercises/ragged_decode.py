"""The exercise 08.clinic: one step for a batch of texts of different lengths, and what passes its author's tests.

The keys of a batch lie in one tensor as long as the longest text, and behind each shorter text lies whatever was in memory
before. A decode step must know whose heads are whose, where a text ends, and that nothing times NaN is not nothing.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given, LearnerCall
from minillm.lab.checks.cases import Budget, Contract, Property, Values, given, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding


def _decode(q: Tensor, k: Tensor, v: Tensor, seq_lens: Tensor) -> Tensor:
    from minillm.attention.naive_decode import naive_decode

    return naive_decode(q, k, v, seq_lens.int())  # type: ignore[return-value]


def _batch(name: str, lengths: list[int], H: int, G: int, behind: float = 0.5, S: int = 9, D: int = 8) -> Given:
    q, k, v = inputs.qkv(name, B=len(lengths), L=1, S=S, H=H, G=G, D=D)
    for b, length in enumerate(lengths):
        k[b, length:], v[b, length:] = behind, behind
    return given(q[:, 0], k, v, torch.tensor(lengths))


def _case(name: str, meaning: str, lengths: list[int], H: int, G: int, behind: float = 0.5) -> Values:
    where = lambda index: f"text {index[0]}, head {index[1]}, channel {index[2]}"  # noqa: E731
    return Values(name, lambda: _batch(name, lengths, H, G, behind), _decode, meaning, where=where)


def _company(call: LearnerCall) -> Finding | None:
    q, k, v, seq_lens = _batch("company", [9, 2, 5], 4, 2).args
    together = call(q, k, v, seq_lens)
    alone = [call(q[b : b + 1], k[b : b + 1], v[b : b + 1], seq_lens[b : b + 1]) for b in range(3)]
    return same(together, torch.cat(alone))


def _leftovers(call: LearnerCall) -> Finding | None:
    clean = _batch("leftovers", [4, 7], 4, 2).args
    want = call(*clean)
    for behind in (math.nan, math.inf, -3e38, 1e30):
        finding = same(call(*_batch("leftovers", [4, 7], 4, 2, behind).args), want)
        if finding:
            return finding
    return None


def _own_nan(call: LearnerCall) -> Finding | None:
    """A NaN among a text's own keys or values is a fault of somebody's, and the heads that read it must show it."""
    q, k, v, seq_lens = _batch("own", [4, 7], 4, 2).args
    want = _decode(q, k, v, seq_lens)
    k[0, 1, 0], v[1, 2, 1] = math.nan, math.nan
    hit = torch.zeros(2, 4, dtype=torch.bool)
    hit[0, :2], hit[1, 2:] = True, True
    got = call(q, k, v, seq_lens)
    shown = got.isnan().any(-1)
    if torch.equal(shown, hit):
        return same(got[~hit], want[~hit])
    text, head = ((shown != hit).nonzero()[0]).tolist()
    told = "text 0 has a NaN in a key of head 0, text 1 in a value of head 1, both among their own"
    answer, right = ("a number", "NaN") if hit[text, head] else ("NaN", "a number")
    return Finding(
        "", (("inputs", told), ("where", f"text {text}, query head {head}"), ("got", answer), ("want", right))
    )


def _loud() -> Given:
    """Every logit lies far below −10,000, which is then nothing to hide a key behind."""
    q, k, v, seq_lens = _batch("far below", [5, 3], 4, 2, behind=0.0).args
    k = k.abs()
    k[0, 5:], k[1, 3:] = 0.0, 0.0
    return given(-q.abs() * 1e5, k, v, seq_lens)


BIG = dict(lengths=[256, 190], H=8, G=2, S=256, D=32)
KEYS = 2 * 256 * 2 * 32 * 4

CLINIC = Exercise(
    id="08.clinic",
    title="A decode step that passes its author's tests",
    statement=(
        "Mend `patient`: q (B, H, D), k and v (B, S, G, D), seq_lens (B,) -> (B, H, D). Text b has seq_lens[b] keys, and "
        "anything may lie behind them. Head h reads key/value head h // (H / G); a text without keys gives 0. A NaN among a "
        "text's own keys is not to be hidden."
    ),
    signature="mended(q, k, v, seq_lens)",
    forbid=("scaled_dot_product", "multi_head_attention", "flex_attention"),
    layers={
        "contract": (Contract("returns q's shape", lambda: _batch("shape", [9, 4], 4, 1), _decode),),
        "values": (
            _case("the author's first test", "Full texts with a key/value head each worked before: keep it so.", [9, 9], 3, 3),
            _case("the author's second test", "Full texts with one key/value head worked before: keep it so.", [9, 9], 4, 1),
            _case("three groups of two", "Query heads 0 and 1 read key/value head 0, 2 and 3 read 1, 4 and 5 read 2.", [9, 9], 6, 3),
            _case("a shorter text", "A text of n keys has them at positions 0 to n - 1.", [9, 4, 1], 4, 2),
            Values("far below", _loud, _decode, "Every real score here is far below -10,000. What is hidden must stay below any score there is."),
            _case("a text without keys", "There is nothing to average: the result is 0.", [3, 0], 4, 2),
            _case("leftovers", "What lies behind a text was never written by it, and may be NaN; 0 times NaN is NaN.", [4, 7], 4, 2, math.nan),
        ),
        "properties": (
            Property("alone and in company", _company, "A text's result must not depend on its neighbours."),
            Property("whatever lies behind", _leftovers, "A text's result must not depend on what lies behind its end."),
            Property("a NaN of its own", _own_nan, "Clean what lies behind the text, and nothing else: a NaN in it is somebody's fault, and must show."),
        ),
        "resources": (
            Budget("nothing larger than k", lambda: _batch("big", **BIG), {"largest_tensor_bytes": KEYS}, "Some tensor has H heads of keys or values: groups can share them without a copy."),  # type: ignore[arg-type]
        ),
    },
    hints=(
        "The author's tests have G = H or G = 1, and every text as long as the tensor. Each of these hides something.",
        "Heads: the group is the outer part of the head index. Lengths: position n is behind a text of n keys. Hidden: a "
        "score of minus infinity, and a value of 0, because the weight 0 does not silence NaN. No keys: the softmax of "
        "nothing is NaN.",
        "rows = q.view(B, G, H // G, D)\nhidden = torch.arange(S) >= seq_lens[:, None]\n"
        "scores.masked_fill(hidden[:, None, None], -inf)   after k is cleaned too, or whatever NaN there is gets masked\n"
        "p = scores.softmax(-1), and 0 where a text has no keys\nv with 0 where hidden",
    ),
    solution="minillm/attention/naive_decode.py, and notebooks/solutions/lesson_08.py: mended",
)  # fmt: skip
