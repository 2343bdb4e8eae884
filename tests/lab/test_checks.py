"""The check framework: whatever an answer does, there is one verdict, in words, and the learner's session is untouched."""

import json
import random
import re
import signal
import threading
import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import minillm as ml
from minillm.errors import InvalidType, InvalidValue
from minillm.lab.checks import inputs
from minillm.lab.checks.cases import Answer, Budget, Contract, Numbers, Property, Values, given, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.judge import judge
from minillm.lab.checks.result import Finding
from minillm.lab.exercises import find_exercise


def exercise(signature="double(x)", forbid=(), time_limit_s=5.0, **layers):
    layers = layers or {"values": (Values("pair", lambda: given(torch.tensor([1.0, 2.0])), lambda x: 2 * x),)}
    return Exercise("99.x", "Title", "Do it.", signature, layers, ("a", "b", "c"), "here", forbid, time_limit_s)


def verdict(answer, **kwargs):
    return judge(exercise(**kwargs), answer)


def double(x):
    return 2 * x


def test_a_right_answer_passes_and_says_what_was_checked():
    result = verdict(double)
    assert result.passed and bool(result)
    assert repr(result) == "✓ 99.x passed: Title\n  layers  values 1"


# What an answer may do wrong in its contract


def in_place(x):
    return x.mul_(2).clone()


def view(x):
    return x.mul_(2) if x is None else x.view(-1)[:]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (lambda x: None, "is a `return` missing"),
        (lambda x: (2 * x).numpy(), "left torch for NumPy"),
        (lambda x: (2 * x).tolist(), "wrong kind of thing"),
        (lambda x: (2 * x).double(), "got      float64"),
        (lambda x: (2 * x)[None], "got      (1, 2)"),
        (lambda x: (2 * x).to_sparse(), "sparse_coo"),
        (lambda x: (2 * x).int(), "got      int32"),
        (in_place, "edited   x"),
        (view, "shares memory with"),
        (lambda x: (2 * x).to("meta"), "got      meta"),
    ],
)
def test_the_contract_names_what_is_wrong(answer, expected):
    result = verdict(answer, contract=(Contract("pair", lambda: given(torch.tensor([1.0, 2.0])), lambda x: 2 * x),))
    assert result.layer == "contract" and expected in re.sub(
        " +", lambda m: m.group() if len(m.group()) > 1 else " ", repr(result)
    ), result


def test_integer_results_may_have_any_integer_width_but_not_float():
    case = Values("ids", lambda: given(torch.tensor([1.0, 2.0])), lambda x: torch.tensor([0, 1]))
    assert verdict(lambda x: torch.tensor([0, 1], dtype=torch.int32), values=(case,)).passed
    assert "dtype" in repr(verdict(lambda x: torch.tensor([0.0, 1.0]), values=(case,)))


def test_several_results_are_told_apart():
    case = Values("two", lambda: given(torch.tensor([1.0])), lambda x: (x, x + 1))
    assert verdict(lambda x: (x.clone(), x + 1), values=(case,)).passed
    assert "result[1]" in repr(verdict(lambda x: (x.clone(), x + 2), values=(case,)))
    assert "2 items" in repr(verdict(lambda x: (x.clone(),), values=(case,)))


# What a values failure shows


def test_a_values_failure_shows_the_first_bad_index_and_its_tile():
    def wrong(x):
        out = 2 * x
        out[..., 5] = 0
        return out

    case = Values(
        "tiles",
        lambda: given(torch.arange(1.0, 9).reshape(1, 8)),
        lambda x: 2 * x,
        "Column 5.",
        where=inputs.tile_place(1, 4),
    )
    lines = repr(verdict(wrong, values=(case,))).splitlines()
    assert lines[0] == "✗ 99.x failed in values: Title"
    assert [re.sub(" {2,}", " | ", line).strip(" |") for line in lines[1:-1]] == [
        "case | tiles",
        "inputs | x (1, 8); float32",
        "first bad index | (0, 5)",
        "where | tile 1 (positions 4 to 7 of axis 1)",
        "got | 0",
        "want | 12",
        "wrong | 1 of 8 elements",
        "meaning | Column 5.",
    ]


def test_nan_and_infinity_are_compared_as_themselves():
    case = Values(
        "edges", lambda: given(torch.zeros(2)), lambda x: torch.tensor([float("nan"), float("-inf")]).double()
    )
    assert verdict(lambda x: torch.tensor([float("nan"), float("-inf")]), values=(case,)).passed
    assert not verdict(lambda x: torch.tensor([0.0, float("-inf")]), values=(case,)).passed
    assert not verdict(lambda x: torch.tensor([float("nan"), float("inf")]), values=(case,)).passed


def test_the_reference_works_in_float64_on_the_same_numbers():
    seen = []
    case = Values("wide", lambda: given(torch.tensor([0.1])), lambda x: seen.append(x) or 2 * x)
    assert verdict(double, values=(case,)).passed
    assert seen[0].dtype == torch.float64 and seen[0].item() == torch.tensor(0.1).item()


def test_inputs_repeat_and_differ_by_purpose():
    q, k, v = inputs.qkv("a")
    assert all(torch.equal(x, y) for x, y in zip((q, k, v), inputs.qkv("a"), strict=True))
    assert not torch.equal(q, k) and not torch.equal(k, v) and not torch.equal(q, inputs.qkv("b")[0])
    assert inputs.qkv("a", L=3, S=7, H=6, G=2)[1].shape == (2, 7, 2, 8)
    loud_q, loud_k, _ = inputs.large_logits("a", H=4, G=2).args
    scores = torch.einsum("blhd,bshd->bhls", loud_q, loud_k.repeat_interleave(2, dim=2)) / 8**0.5
    assert scores.abs().max().item() == pytest.approx(100, rel=1e-4)


def test_strides_survive_the_copy():
    seen = []

    def spy(q, k, v):
        seen.append((q.stride(), q.is_contiguous()))
        return q + 0

    make = lambda: given(*inputs.qkv("strides", maker=inputs.strided))  # noqa: E731
    assert verdict(spy, signature="f(q, k, v)", values=(Values("strided", make, lambda q, k, v: q),)).passed
    assert seen == [(make().args[0].stride(), False)]


# Faults of every kind end as a verdict


def recursive(x):
    return recursive(x)


def raises_with_an_address(x):
    raise ValueError(f"no {object()!r}")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        (recursive, "RecursionError"),
        (raises_with_an_address, "ValueError: no <object object at 0x…>"),
        (lambda x: exit(), "SystemExit"),
        (lambda x: x @ torch.ones(3, 3), "RuntimeError"),
        (lambda x: [torch.ones(2)] * 2, "wrong kind"),
        (lambda x: memoryview(b""), "memoryview"),
        (3, "Pass the function itself"),
        (lambda: 0, "takes other arguments"),
        (lambda x, y: x, "takes other arguments"),
    ],
)
def test_a_fault_is_a_verdict_and_not_a_traceback(answer, expected):
    text = repr(verdict(answer))
    assert expected in text and "Traceback" not in text and "minillm/" not in text


def test_a_raised_error_is_shown_at_the_learners_own_lines_only():
    def inner(x):
        return F.softmax(x, dim=9)

    def outer(x):
        return inner(x)

    text = repr(verdict(outer))
    assert re.search(
        r"at +line \d+ of outer: return inner\(x\)\n +line \d+ of inner: return F.softmax\(x, dim=9\)", text
    )
    assert "functional.py" not in text


def test_an_odd_result_inside_a_list_does_not_escape():
    case = Values("list", lambda: given(torch.zeros(2)), lambda x: [1, 2])
    assert "could not be used" in repr(verdict(lambda x: [torch.ones(2), 2], values=(case,)))


def test_keyboard_interrupt_still_interrupts():
    def interrupted(x):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verdict(interrupted)


# Stubs


class Shell:
    def __init__(self, x):
        raise NotImplementedError


def test_stubs_are_not_attempted():
    def raising(x):
        """Write me."""
        raise NotImplementedError

    def dots(x):
        """Write me."""
        ...

    def message(x):
        raise NotImplementedError("your turn")

    for stub in (raising, dots, message, Shell):
        result = verdict(stub)
        assert result.status == "not attempted" and "\n" not in repr(result), result
    assert verdict(None, signature="", values=(Answer("a", 1),)).status == "not attempted"


def test_half_written_answers_are_attempts():
    def later(x):
        if x.numel() > 1:
            return 2 * x
        raise NotImplementedError

    def library(x):
        return torch.ops.aten._pdist_forward(x.to("meta").int().to_sparse())

    cases = tuple(Values(f"size {n}", lambda n=n: given(torch.ones(n)), lambda x: 2 * x) for n in (2, 1))
    assert verdict(later, values=cases).status == "failed"
    assert verdict(library).status == "failed"

    def constant(x):
        return 0

    assert verdict(lambda x: None).status == "failed"
    assert verdict(constant).status == "failed"


# Time

LONGEST_S = 6.0  # an "endless" loop ends here when the limit that is tested does not work


@pytest.mark.parametrize("excuse", [Exception, BaseException])
def test_an_endless_loop_ends(excuse):
    def endless(x):
        while time.monotonic() < started + LONGEST_S:
            try:
                while time.monotonic() < started + LONGEST_S:
                    pass
            except excuse:
                if excuse is BaseException:
                    time.sleep(LONGEST_S)  # a second alarm rings here

    before = signal.getsignal(signal.SIGALRM)
    started = time.monotonic()
    result = verdict(endless, time_limit_s=0.2)
    assert "is there a loop that never ends" in repr(result)
    assert time.monotonic() - started < 3
    assert signal.getsignal(signal.SIGALRM) is before and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_an_endless_loop_inside_a_law_ends_and_an_outer_timer_survives():
    started = time.monotonic()

    class Endless:
        def step(self):
            while time.monotonic() < started + LONGEST_S:
                pass

    law = Property("steps", lambda call: call(1).step(), "It steps.")
    signal.setitimer(signal.ITIMER_REAL, 100)
    try:
        assert "never ends" in repr(verdict(lambda x: Endless(), time_limit_s=0.2, properties=(law,)))
        assert 90 < signal.getitimer(signal.ITIMER_REAL)[0] <= 100
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def test_a_check_works_off_the_main_thread():
    results = []
    thread = threading.Thread(target=lambda: results.append(verdict(double)))
    thread.start()
    thread.join()
    assert results[0].passed


# Nothing of the learner's is lost


def test_the_session_is_put_back():
    def messy(x):
        torch.manual_seed(1)
        random.seed(1)
        np.random.seed(1)  # noqa: NPY002
        torch.set_default_dtype(torch.float64)
        torch.set_grad_enabled(False)
        return 2 * x

    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()  # noqa: NPY002
    assert verdict(messy).passed
    ml.lab.check("01.attention", lambda q, k, v, causal=False: messy(q))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), np.random.get_state()[1].tolist()) == before[1:]  # noqa: NPY002
    assert torch.is_grad_enabled() and torch.get_default_dtype() == torch.float32


def test_a_replaced_torch_function_is_named(monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(torch, "isclose", lambda a, b, **_: torch.ones_like(a, dtype=torch.bool))
        result = verdict(lambda x: 3 * x)
    assert result.layer == "contract" and "`torch.isclose` has been replaced" in repr(result)

    def sly(x):
        monkeypatch.setattr(torch, "isclose", lambda a, b, **_: torch.ones_like(a, dtype=torch.bool))
        return 3 * x

    assert "`torch.isclose` has been replaced" in repr(verdict(sly))


# Forbidden steps


@pytest.mark.parametrize(
    "answer",
    [
        lambda x: F.softmax(x, -1),
        lambda x: x.softmax(-1),
        lambda x: torch.ops.aten._softmax(x, -1, False),
        lambda x: torch.nn.Softmax(-1)(x),
        lambda x: torch.nn.functional.log_softmax(x, -1).exp(),
    ],
)
def test_a_forbidden_step_is_seen_under_every_name(answer):
    case = Values("softmax", lambda: given(torch.ones(3)), lambda x: torch.softmax(x, -1))
    result = verdict(answer, forbid=("softmax",), values=(case,))
    assert result.layer == "contract" and "asks you to write it yourself" in repr(result)
    assert verdict(answer, values=(case,)).passed


def test_a_forbidden_step_inside_a_library_function_is_seen():
    case = Values("loss", lambda: given(torch.ones(3)), lambda x: -torch.log_softmax(x, -1)[0])
    result = verdict(lambda x: F.cross_entropy(x, torch.tensor(0)), forbid=("log_softmax",), values=(case,))
    assert result.layer == "contract" and "_log_softmax" in repr(result)


def test_a_law_may_use_what_the_answer_may_not():
    law = Property("law", lambda call: same(call(torch.ones(2)), 2 * torch.softmax(torch.zeros(2), -1) * 2), "Law.")
    assert verdict(double, forbid=("softmax",), properties=(law,)).passed


# Formulas, plain values, laws, budgets


def test_formulas_are_judged_with_their_unit():
    case = Numbers("7B", (32, 4096), want=2**20, unit="bytes", meaning="Two tensors, K and V.")
    assert verdict(lambda n, c: 2**20, signature="f(n, c)", values=(case,)).passed
    assert verdict(lambda n, c: torch.tensor(2**20), signature="f(n, c)", values=(case,)).passed
    text = repr(verdict(lambda n, c: 2**19, signature="f(n, c)", values=(case,)))
    assert (
        "524 288 bytes" in text and "1 048 576 bytes" in text and "got / want = 0.5" in text and "n=32, c=4096" in text
    )
    for odd in (None, "1 MB", True, float("nan"), [2**20]):
        assert not verdict(lambda n, c, odd=odd: odd, signature="f(n, c)", values=(case,)).passed


def test_only_an_infinity_is_near_an_infinity():
    case = Numbers("nothing seen", (1,), want=-float("inf"))
    assert verdict(lambda n: -float("inf"), signature="f(n)", values=(case,)).passed
    for odd in (-1e30, 0.0, float("inf"), float("nan")):
        assert not verdict(lambda n, odd=odd: odd, signature="f(n)", values=(case,)).passed


def test_true_is_not_the_number_one():
    assert not verdict(lambda n: True, signature="f(n)", values=(Numbers("one", (1,), want=1),)).passed


def test_plain_answers_explain_tempting_mistakes_without_giving_the_answer_away():
    case = Answer("which line", 7, explain={4: "Line 4 is right: it scales."})
    assert verdict(7, signature="", values=(case,)).passed
    assert "Line 4 is right" in repr(verdict(4, signature="", values=(case,)))
    for wrong in (4, 5, "seven"):
        assert "7" not in repr(verdict(wrong, signature="", values=(case,)))
    assert verdict("b", signature="", values=(Answer("letter", "b"),)).passed
    assert not verdict("c", signature="", values=(Answer("letter", "b"),)).passed


def test_laws_may_answer_with_a_bool_or_a_comparison():
    assert verdict(double, properties=(Property("p", lambda call: bool(call(1) == 2), "Even."),)).passed
    result = verdict(double, properties=(Property("p", lambda call: call(1) == 3, "Odd."),))
    assert result.layer == "properties" and "Odd." in repr(result)
    law = Property("p", lambda call: same(call(torch.ones(1)), torch.zeros(1)), "Zero.")
    assert "first bad index" in repr(verdict(double, properties=(law,)))


@pytest.mark.parametrize(
    ("limits", "passes"),
    [
        ({"bytes_loaded": 4096, "bytes_stored": 4096, "peak_bytes": 1 << 20, "flops": 0}, True),
        ({"bytes_loaded": 4095}, False),
        ({"bytes_stored": 4095}, False),
        ({"largest_tensor_bytes": 4096}, True),
        ({"largest_tensor_bytes": 4095}, False),
    ],
)
def test_a_budget_bounds_what_a_call_uses(limits, passes):
    case = Budget("lean", lambda: given(torch.ones(1024)), limits, "Too much.")
    result = verdict(double, forbid=("softmax",), resources=(case,))
    assert result.passed is passes
    if not passes:
        assert result.layer == "resources" and "4096" in repr(result) and "at most 4095" in repr(result)


def test_layers_run_in_order_and_stop_at_the_first_failure():
    ran = []

    def law(name, holds):
        return Property(name, lambda call: ran.append(name) or holds, name)

    layers = {"resources": (law("r", True),), "properties": (law("p", False),), "contract": (law("c", True),)}
    result = verdict(double, **layers)
    assert ran == ["c", "p"] and result.layer == "properties" and result.case == "p"


# How it is shown


def strip(page):
    """The words of an HTML page."""
    import html

    return " ".join(html.unescape(re.sub("<[^>]+>", " ", page)).split())


@pytest.mark.parametrize("answer", [double, lambda x: 3 * x, lambda x: x / 0 if x is None else 1 // 0, lambda: 0])
def test_text_html_and_json_say_the_same_and_never_change(answer):
    first, second = verdict(answer), verdict(answer)
    assert (repr(first), first._repr_html_(), first.to_json()) == (repr(second), second._repr_html_(), second.to_json())
    assert strip(first._repr_html_()) == " ".join(repr(first).split())
    data = json.loads(json.dumps(first.to_json()))
    assert data["message"] == repr(first) and data["status"] in ("passed", "failed")


def test_html_escapes_what_a_learner_wrote():
    def angry(x):
        raise ValueError("<script>alert(1)</script>")

    assert "<script>" not in verdict(angry)._repr_html_()


def test_a_law_that_says_what_is_wrong_is_believed():
    law = Property("a law", lambda call: Finding("Exactly this is wrong."), "Something is wrong.")
    assert "Exactly this is wrong." in repr(verdict(double, properties=(law,)))
    silent = Property("a law", lambda call: Finding(""), "Something is wrong.")
    assert "Something is wrong." in repr(verdict(double, properties=(silent,)))


def test_hints_come_one_level_at_a_time():
    one, three = ml.lab.hint("01.attention"), ml.lab.hint("01.attention", 3)
    assert find_exercise("01.attention").statement in repr(one), "what is asked comes before any hint"
    assert "2 invariant" not in repr(one) and "solution" not in repr(one)
    assert "3 skeleton" in repr(three) and "minillm/attention/naive.py" in repr(three)
    assert strip(three._repr_html_()).replace(":", "") == " ".join(repr(three).replace(":", "").split())
    for level in (0, 4, "1", True):
        with pytest.raises(InvalidValue, match="hint levels"):
            ml.lab.hint("01.attention", level)


def test_an_unknown_exercise_names_the_nearest():
    for function in (lambda name: ml.lab.check(name, double), ml.lab.hint):
        with pytest.raises(InvalidValue, match=r"did you mean '01\.attention'"):
            function("01.atention")
    with pytest.raises(InvalidType, match="exercise's id first"):
        ml.lab.check(double, "01.attention")


def test_a_badly_declared_exercise_is_refused():
    with pytest.raises(InvalidValue, match="layers"):
        exercise(value=())
    with pytest.raises(InvalidValue, match="twice"):
        exercise(values=(Answer("a", 1), Answer("a", 2)))
    with pytest.raises(InvalidValue, match="did you mean 'peak_bytes'"):
        Budget("b", given, {"peak_byte": 1}, "m")
    with pytest.raises(InvalidValue, match="hints"):
        Exercise("99.x", "T", "S", "f(x)", {"values": (Answer("a", 1),)}, ("one",), "here")


def test_checks_write_to_a_log_only_when_a_grader_asks(tmp_path, monkeypatch):
    log = tmp_path / "log.jsonl"
    ml.lab.check("01.attention", 3)
    assert not log.exists()
    monkeypatch.setenv("MINILLM_CHECK_LOG", str(log))
    ml.lab.check("01.attention", 3)
    assert json.loads(log.read_text())["layer"] == "contract"
