"""The exercises 09.merge and 09.clinic: many partial attentions become one, and a split step that averages them.

Parts that saw nothing and logits of any size do the judging, as in lesson 03; here there are as many parts as a GPU has
use for, and some of them are always empty.
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

INF = math.inf
Raised = float | tuple[float, ...]  # added to all logs, or to each row's


def _merge(outs: Tensor, lses: Tensor) -> tuple[Tensor, Tensor]:
    lse = lses.logsumexp(0)
    safe = torch.where(lse == -INF, 0.0, lse)
    shares = (lses - safe).exp()[..., None]
    return (shares * outs.masked_fill(shares == 0, 0.0)).sum(0), lse


def _attend(q: Tensor, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
    """q (R, D), k and v (S, D) -> out (R, D), lse (R,); nothing seen is 0 and -inf."""
    scores = q @ k.T / math.sqrt(q.shape[1])
    return scores.softmax(-1) @ v if len(k) else torch.zeros_like(q), scores.logsumexp(-1)


def _step(name: str, S: int, R: int = 4, D: int = 8, loud: float = 1.0) -> tuple[Tensor, Tensor, Tensor]:
    q, k, v = (inputs.normal(f"{name} {x}", n, D) for x, n in (("q", R), ("k", S), ("v", S)))
    return q * loud, k, v


def _parts(name: str, sizes: list[int], loud: float = 1.0, garbage: float = 0.0) -> tuple[Tensor, Tensor]:
    q, k, v = _step(name, sum(sizes), loud=loud)
    parts = [_attend(q, *pair) for pair in zip(k.split(sizes), v.split(sizes), strict=True)]
    outs, lses = torch.stack([out for out, _ in parts]), torch.stack([lse for _, lse in parts])
    return outs.masked_fill((lses == -INF)[..., None], garbage), lses


def _case(
    name: str, meaning: str, sizes: list[int], *, loud: float = 1.0, garbage: float = 0.0, raised: Raised = 0.0
) -> Values:
    def make() -> Given:
        outs, lses = _parts(name, sizes, loud, garbage)
        return given(outs, lses + torch.tensor(raised))

    return Values(name, make, _merge, meaning, where=lambda index: f"row {index[0]}")


def _far_below(name: str, meaning: str) -> Values:
    """Logs near -30,000, in float64, where they still tell parts from each other."""

    def make() -> Given:
        outs, lses = _parts(name, [4, 0, 4])
        return given(outs.double(), lses.double() - 30_000.0)

    return Values(name, make, _merge, meaning, where=lambda index: f"row {index[0]}")


def _any_runs(call: LearnerCall) -> Finding | None:
    q, k, v = _step("any runs", 24, loud=3.0)
    want = _attend(q, k, v)
    for sizes in ([24], [12, 12], [8] * 3, [5, 19, 0], [1] * 24, [0, 0, 24, 0]):
        parts = [_attend(q, *pair) for pair in zip(k.split(sizes), v.split(sizes), strict=True)]
        finding = same(call(torch.stack([o for o, _ in parts]), torch.stack([x for _, x in parts])), want)
        if finding:
            return finding
    return None


def _any_order(call: LearnerCall) -> Finding | None:
    outs, lses = _parts("any order", [3, 9, 1, 5])
    order = [2, 0, 3, 1]
    return same(call(outs[order], lses[order]), call(outs, lses))


PARTS = 16 * 64 * 32 * 4

MERGE = Exercise(
    id="09.merge",
    title="Merge all the runs at once",
    statement=(
        "outs (n, R, D) and lses (n, R): n runs' results and the natural logs of their weights, for R rows. Return out (R, D) "
        "and lse (R,) of all runs together. A run that saw nothing "
        "has lse -inf, and its out is memory that nobody wrote to."
    ),
    signature="merge(outs, lses)",
    layers={
        "contract": (
            Contract("returns out and lse", lambda: given(*_parts("contract", [3, 4, 5])), _merge),
            Contract("keeps float64", lambda: given(*(x.double() for x in _parts("64", [3, 4]))), _merge),
        ),
        "values": (
            _case("one run", "One run is the answer already.", [9]),
            _case("runs of one length", "A run's share is exp(its lse - the lse of all).", [4, 4, 4]),
            _case("runs of other lengths", "A run weighs what its exponentials sum to, not what it has keys.", [1, 11, 3]),
            _case("loud keys", "One key decides, and its run has all the weight.", [4, 4, 4], loud=40.0),
            _case("lse near 300", "exp(300) is too large for a float: measure from the largest.", [4, 4], raised=300.0),
            _case("lse near -300", "exp(-300) is 0: measure from the largest.", [4, 4], raised=-300.0),
            _case("rows far apart", "Each row has a maximum of its own: what is loud in one row must not silence another.", [4, 3], raised=(300.0, -300.0, 0.0, 90.0)),
            _far_below("lse near -30,000", "Low logs are logs, too: what stands for nothing is minus infinity alone."),
            _case("an empty run", "A run that saw nothing has no share.", [4, 0, 5]),
            _case("what nobody wrote", "An empty run's out may be NaN, and 0 times NaN is NaN: do not read it.", [4, 0, 5, 0], garbage=math.nan),
            _case("nothing at all", "If no run saw a key the result is 0, and its lse -inf.", [0, 0], garbage=math.nan),
        ),
        "properties": (
            Property("any runs", _any_runs, "Cut anywhere and merged again, it must be attention to all keys."),
            Property("any order", _any_order, "Merging is adding: the order must not show."),
        ),
        "resources": (
            Budget("a few passes over the parts", lambda: given(*_parts_of(16)), {"bytes_moved": 12 * PARTS}, "The parts are moved again and again: one product of shares and parts, and one sum, is all there is."),
        ),
    },
    hints=(
        "Lesson 03 merged two. The log of the sum of n exponentials is torch.logsumexp over the first axis, and then every "
        "run has a share.",
        "share_i = exp(lse_i - lse). Shares sum to 1; a run with lse -inf has 0, and then its out must not be multiplied.",
        "lse = lses.logsumexp(0)\nsafe = lse, with -inf replaced by 0\nshares = exp(lses - safe)                 # (n, R)\n"
        "outs with 0 where shares are 0\nout = (shares[..., None] * outs).sum(0)",
    ),
    solution="kernels/merge_splits.py, and notebooks/solutions/lesson_09.py",
)  # fmt: skip


def _parts_of(n: int) -> tuple[Tensor, Tensor]:
    return inputs.normal(f"outs {n}", n, 64, 32), inputs.normal(f"lses {n}", n, 64)


def _whole(q: Tensor, k: Tensor, v: Tensor, num_splits: int) -> Tensor:
    return _attend(q, k, v)[0]


def _clinic_case(name: str, meaning: str, S: int, num_splits: int, loud: float = 1.0) -> Values:
    make = lambda: given(*_step(name, S, loud=loud), num_splits)  # noqa: E731
    return Values(name, make, _whole, meaning, where=lambda index: f"row {index[0]}, channel {index[1]}")


def _any_number(call: LearnerCall) -> Finding | None:
    q, k, v = _step("any number", 29, loud=2.0)
    want = _whole(q, k, v, 1)
    findings = (same(call(q, k, v, n), want) for n in range(1, 40))
    return next((finding for finding in findings if finding), None)


def _one_row() -> Given:
    """One row with 2,048 keys in 16 runs: all its scores together are larger than the keys of a run."""
    return given(*_step("one row", 2048, R=1), 16)


def _nothing() -> Given:
    return given(*_step("nothing", 0), 3)


CLINIC = Exercise(
    id="09.clinic",
    title="A split step that passes its author's tests",
    statement=(
        "Mend `patient`: q (R, D) attends to k and v (S, D), cut into num_splits runs -> out (R, D). Any S from 0, any "
        "num_splits from 1, S and num_splits in any proportion. The runs must stay runs: nothing as long as k is made of scores, and no key is multiplied twice."
    ),
    signature="mended(q, k, v, num_splits)",
    forbid=("scaled_dot_product", "multi_head_attention", "flex_attention"),
    layers={
        "contract": (Contract("returns q's shape", lambda: given(*_step("shape", 12), 3), _whole),),
        "values": (
            _clinic_case("the author's first test", "One run worked before: keep it so.", 40, 1),
            _clinic_case("two runs", "Each run is measured from a maximum of its own, and lse must say so: m + log(l).", 40, 2),
            _clinic_case("a tail", "40 keys in 3 runs: none may be left over.", 40, 3),
            _clinic_case("logits in the hundreds", "Shares are exponentials of differences; exp(lse) itself overflows.", 40, 2, 100.0),
            _clinic_case("more runs than keys", "An empty run has lse -inf and no share, and its state must not become NaN.", 5, 8),
            Values("no keys", _nothing, _whole, "Without keys the result is 0."),
        ),
        "properties": (Property("any number of runs", _any_number, "The number of runs is how the work is cut, and must not show."),),
        "resources": (
            Budget("runs stay runs", lambda: given(*_step("large", 2048, R=16, D=8), 16), {"largest_tensor_bytes": 16 * 2048 * 4 // 8}, "A score for every key lies in one tensor: then nothing was split."),
            Budget("one row stays runs", _one_row, {"largest_tensor_bytes": 2048 * 4 * 3 // 4}, "A score for every key lies in one tensor: then nothing was split."),
            Budget("each run once", lambda: given(*_step("once", 2048, R=16, D=8), 16), {"flops": 5 * 16 * 2048 * 8}, "The keys are multiplied more than once. A run is measured from a maximum of its own, and its lse tells the merge."),
        ),
    },
    hints=(
        "Where every value is 1 the answer is 1, whatever the weights; and one run needs no merging. What do the author's "
        "tests leave unseen?",
        "Four faults: the length of a run rounds down; an empty run has no maximum; lse is measured from the run's own "
        "maximum, which belongs to it; and exp(lse) may overflow.",
        "per = -(-S // num_splits)\nfor each run: no keys: skip it, or lse = -inf\nlse = m + log(l)\n"
        "at the end: shares = exp(lses - max over the runs), divided by their sum",
    ),
    solution="notebooks/solutions/lesson_09.py: mended",
)  # fmt: skip
