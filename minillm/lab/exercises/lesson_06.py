"""Exercises of lesson 06: softmax backwards, delta without the weights, a tile's gradients, and a clinic."""

from __future__ import annotations

import torch
from torch import Tensor

from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given, LearnerCall
from minillm.lab.checks.cases import Budget, Contract, Property, Values, given, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding
from minillm.lab.exercises.flash_gradients import CLINIC, DKDV


def _through_softmax(p: Tensor, dp: Tensor) -> Tensor:
    return p * (dp - (p * dp).sum(-1, keepdim=True))


def _weights(name: str, *shape: int, loud: float = 1.0) -> Tensor:
    return (inputs.normal(f"{name} scores", *shape, dtype=torch.float64) * loud).softmax(-1).float()


def _softmax_case(name: str, meaning: str, *shape: int, change=lambda p: p, loud: float = 1.0) -> Values:  # type: ignore[no-untyped-def]
    def make() -> Given:
        return given(change(_weights(name, *shape, loud=loud)), inputs.normal(f"{name} dp", *shape))

    return Values(name, make, _through_softmax, meaning, where=lambda index: f"row {index[:-1]}, key {index[-1]}")


def _no_weights_in_row_1(p: Tensor) -> Tensor:
    p = p.clone()
    p[1] = 0.0
    return p


def _as_autograd(call: LearnerCall) -> Finding | bool | None:
    scores = inputs.normal("autograd", 3, 7, dtype=torch.float64).requires_grad_()
    dp = inputs.normal("autograd dp", 3, 7, dtype=torch.float64)
    with torch.enable_grad():
        p = scores.softmax(-1)
        (want,) = torch.autograd.grad(p, scores, dp)
    return same(call(p.detach(), dp), want)


def _constant_does_nothing(call: LearnerCall) -> Finding | bool | None:
    p, dp = _weights("constant", 4, 6).double(), inputs.normal("constant dp", 4, 6, dtype=torch.float64)
    p = p / p.sum(-1, keepdim=True)
    return same(call(p, dp + 3.0), call(p, dp))


SOFTMAX_BACKWARD = Exercise(
    id="06.softmax_backward",
    title="Through a softmax, backwards",
    statement=(
        "p (…, S) are the weights a softmax gave, each row by itself, and dp (…, S) the loss's gradient of p. Return ds, its "
        "gradient of the scores. A row of zeros saw nothing and has no gradient; some rows may sum to less than 1."
    ),
    signature="softmax_backward(p, dp)",
    forbid=("softmax",),
    layers={
        "contract": (
            Contract("returns p's shape", lambda: given(_weights("contract", 3, 5), inputs.normal("contract dp", 3, 5)), _through_softmax),
        ),
        "values": (
            _softmax_case("one row", "When one weight grows, the others of its row make room: the ds of a row sum to 0.", 1, 4),
            _softmax_case("several rows", "Each row has a sum of its own.", 3, 5),
            _softmax_case("as many rows as keys", "Rows and keys are different axes, also when there are equally many.", 4, 4),
            _softmax_case("heads and batch", "The rows lie along the last axis, whatever stands before it.", 2, 3, 4, 5),
            _softmax_case("one key", "A softmax of one score is 1 whatever the score: no gradient.", 3, 1),
            _softmax_case("a certain row", "Where one weight is nearly 1, hardly anything moves.", 2, 6, loud=20.0),
            _softmax_case("a row of zeros", "A row that saw nothing gives zeros, not NaN.", 3, 4, change=_no_weights_in_row_1),
            _softmax_case("part of the row is elsewhere", "A sink takes a share and has no value: the formula is the same, with the p given.", 2, 4, change=lambda p: 0.7 * p),
        ),
        "properties": (
            Property("as autograd has it", _as_autograd, "torch's own softmax, differentiated in float64, gives something else."),
            Property("a constant does nothing", _constant_does_nothing, "The weights sum to 1, so adding 3 to every dp of a row changes no gradient."),
        ),
        "resources": (
            Budget(
                "no Jacobian",
                lambda: given(_weights("budget", 8, 256), inputs.normal("budget dp", 8, 256)),
                {"largest_tensor_bytes": 4 * 8 * 256 * 4},
                "An S × S matrix a row was stored: its product with dp has a closed form.",
            ),
        ),
    },
    hints=(
        "Raise one score a little: its own weight goes up, and all others go down to make room. Write both down, then add up "
        "what each does to the loss.",
        "∂p_j/∂s_n = p_j · ([j = n] - p_n). Sum dp_j times that over j: the first part leaves one term, the second has the "
        "factor p_n in every term.",
        "delta = the sum over the last axis of p · dp, kept as an axis of 1\nreturn p · (dp - delta)",
    ),
    solution="minillm/attention/tiled_backward.py: the line `ds =`, and notebooks/solutions/lesson_06.py",
)  # fmt: skip


def _delta(out: Tensor, dout: Tensor) -> Tensor:
    return (out * dout).sum(-1)


def _pair(name: str, *shape: int, dtype: torch.dtype = torch.float32, shift: float = 0.0) -> Given:
    return given(
        inputs.normal(f"{name} out", *shape, dtype=dtype) + shift,
        inputs.normal(f"{name} dout", *shape, dtype=dtype) + shift,
    )


def _delta_case(name: str, meaning: str, *shape: int) -> Values:
    return Values(name, lambda: _pair(name, *shape), _delta, meaning, where=lambda index: f"row {index}")


def _is_the_sum_of_p_dp(call: LearnerCall) -> Finding | bool | None:
    p, v = _weights("law", 5, 9).double(), inputs.normal("law v", 9, 4, dtype=torch.float64)
    dout = inputs.normal("law dout", 5, 4, dtype=torch.float64)
    return same(call(p @ v, dout), (p * (dout @ v.T)).sum(-1))


DELTA = Exercise(
    id="06.delta",
    title="The sum over all keys, without the keys",
    statement=(
        "out and dout (L, D) of one head. Return delta (L,), each row's Σ p · dp over all its keys, of which neither p nor dp "
        "is given. Sum in float32 at least, and return the sum unrounded: float32 for narrower input."
    ),
    signature="delta(out, dout)",
    layers={
        "contract": (
            Contract("returns (L,)", lambda: _pair("contract", 5, 8), _delta),
            Contract("bfloat16 in, float32 out", lambda: _pair("bf16", 5, 8, dtype=torch.bfloat16), _delta, dtype=torch.float32),
        ),
        "values": (
            _delta_case("one row", "Put dp = dout · v into Σ p · dp, and take dout out of the sum: what is left?", 1, 4),
            _delta_case("several rows", "One number a row.", 5, 8),
            _delta_case("as many rows as channels", "The sum goes along the channels, and leaves one number for each query.", 6, 6),
            Values(
                "large float16",
                lambda: _pair("float16", 3, 256, dtype=torch.float16, shift=300.0),
                _delta,
                "In float16 a product of 300 and 300 is already infinite: widen before multiplying.",
                tolerance=(1e-5, 1e-3),
                dtype=torch.float32,
            ),
        ),
        "properties": (
            Property("equals Σ p · dp", _is_the_sum_of_p_dp, "With out = p v and dp = dout vᵀ, it must be the sum of p · dp along the row."),
        ),
        "resources": (
            Budget(
                "nothing of size L × L",
                lambda: _pair("budget", 256, 16),
                {"largest_tensor_bytes": 4 * 256 * 16},
                "Rows do not meet each other here: nothing larger than out is needed.",
            ),
        ),
    },
    hints=(
        "dp_j is dout · v_j. What is Σ p_j v_j?",
        "Σ_j p_j (dout · v_j) = dout · Σ_j p_j v_j, and that last sum was computed in the forward.",
        "widen out and dout to float32 if they are narrower\nreturn the sum of their product over the channels",
    ),
    solution="minillm/attention/tiled_backward.py: delta_program, and notebooks/solutions/lesson_06.py",
)  # fmt: skip

EXERCISES = (SOFTMAX_BACKWARD, DELTA, DKDV, CLINIC)
