"""A trial times who is right and says why of everybody else; nothing but the clock differs between a processor and a GPU."""

import importlib.util
import itertools
import sys
from types import SimpleNamespace

import pytest
import torch
import trial
from instant_watch import Instant, attempt
from plan import Case
from trial import GpuWatch, ProcessorWatch, left_out, told, try_case

import minillm as ml

SQUARE = {"B": 2, "L": 9, "S": 9, "H": 4, "G": 2, "D": 16}
TINY = {
    "attention": (SQUARE, {"causal": True}, ("naive", "torch", "torch flash")),
    "attention_backward": (SQUARE, {"causal": True}, ("naive", "torch", "torch flash")),
    "attention_varlen": ({"B": 3, "T": 20, "H": 4, "G": 2, "D": 16}, {"causal": True, "lengths": "uneven"}, ()),
    "softmax": ({"M": 5, "N": 33}, {}, ("torch",)),
    "matmul": ({"M": 17, "N": 9, "K": 33}, {}, ("torch",)),
}
OURS = {"softmax": ("triton", "triton online"), "matmul": ("triton naive", "triton grouped")}
BYTES = {
    "attention": 4 * 16 * (2 * 18 * 4 + 2 * 18 * 2),
    "attention_backward": 4 * 16 * (4 * 18 * 4 + 4 * 18 * 2),
    "attention_varlen": 4 * 16 * 2 * 20 * (4 + 2),
    "softmax": 4 * 2 * 5 * 33,
    "matmul": 4 * (17 * 33 + 33 * 9 + 17 * 9),
}
FLOPS = {"attention": 4 * 16 * 2 * 4 * 45, "attention_backward": 10 * 16 * 2 * 4 * 45, "matmul": 2 * 17 * 9 * 33}


def tiny(operator, *contestants, dtype="float32"):
    shape, options, usual = TINY[operator]
    return Case(operator, shape, dtype, contestants or usual, options)


@pytest.mark.parametrize("operator", [name for name in TINY if TINY[name][2]])
def test_every_operator_gives_checked_rows_of_what_torch_can_do_here(operator):
    rows, untimed = attempt(tiny(operator), Instant(slow=["torch"]))
    assert untimed == {} and set(rows) == set(tiny(operator).contestants)
    for row in rows.values():
        assert row.bytes_moved == BYTES[operator] and row.flops == FLOPS.get(operator)
        assert row.rms_error < 1e-5 and row.max_error < 1e-4
    assert rows["torch"].ratio_to_torch == (0.5 if "torch flash" in rows else 1)
    assert rows["torch"].best_torch == ("torch flash" if "torch flash" in rows else "torch")


@pytest.mark.parametrize("operator", TINY)
def test_every_operator_tries_our_kernels(operator, monkeypatch):
    if ml.kernels.mode().name == "absent":
        pytest.skip(ml.kernels.mode().why)
    needed = {"attention_varlen": "flash_attention_varlen"}.get(operator)
    if needed and importlib.util.find_spec(f"minillm.kernels.{needed}") is None:
        pytest.skip(f"no {needed} yet")
    monkeypatch.setattr(trial, "why_not", lambda _: None)
    names = OURS.get(operator, ("triton",))
    rows, untimed = attempt(tiny(operator, *names))
    assert untimed == {} and set(rows) == set(names)
    assert all(row.rms_error < 1e-5 and row.best_torch is None for row in rows.values())


def test_flex_attention_is_called_as_it_wants_to_be(monkeypatch):
    # Compiling takes many seconds; what it is called with can be seen without.
    def plainly(turned_q, turned_k, turned_v, block_mask, enable_gqa):
        assert enable_gqa and (block_mask is None) == (not causal)
        if causal:
            assert [block_mask.mask_mod(0, 0, torch.tensor(i), torch.tensor(4)).item() for i in (3, 4)] == [False, True]
        q, k, v = (x.transpose(1, 2) for x in (turned_q, turned_k, turned_v))
        return ml.attention(q, k, v, causal=causal).transpose(1, 2)

    monkeypatch.setattr(torch, "compile", lambda function, dynamic: plainly)
    for causal in (True, False):
        rows, untimed = attempt(Case("attention", SQUARE, "float32", ("torch flex",), {"causal": causal}))
        assert untimed == {} and rows["torch flex"].rms_error < 1e-5


def newer(q, k, v, ends_q, ends_k, max_q, max_k, *, window_size=(-1, -1)):
    return packed(q, k, v, ends_q, causal={(-1, 0): True, (-1, -1): False}[window_size])


def older(q, k, v, ends_q, ends_k, max_q, max_k, is_causal=False):
    return packed(q, k, v, ends_q, causal=is_causal)


def packed(q, k, v, ends, causal):
    parts = [slice(a, b) for a, b in itertools.pairwise(ends.tolist())]
    return torch.cat([ml.attention(q[None, p], k[None, p], v[None, p], causal=causal)[0] for p in parts])


@pytest.mark.parametrize("varlen_attn", [newer, older])
@pytest.mark.parametrize("causal", [True, False])
def test_torchs_varlen_is_called_as_each_release_wants_to_be(varlen_attn, causal, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.nn.attention.varlen", SimpleNamespace(varlen_attn=varlen_attn))
    shape, options, _ = TINY["attention_varlen"]
    case = Case("attention_varlen", shape, "float32", ("torch varlen",), options | {"causal": causal})
    rows, untimed = attempt(case)
    assert untimed == {}
    assert rows["torch varlen"].bytes_moved == BYTES["attention_varlen"]
    pairs = [n * (n + 1) // 2 if causal else n * n for n in (3, 7, 10)]
    assert rows["torch varlen"].flops == 4 * 16 * 4 * sum(pairs)


def test_interpreted_kernels_are_named_and_not_timed(monkeypatch):
    monkeypatch.setattr(trial.ml.kernels, "mode", lambda: ml.kernels.runtime.Mode("interpreter", "no GPU"))
    watch = Instant()
    rows, untimed = attempt(tiny("softmax", "triton", "torch"), watch)
    assert list(rows) == ["torch"] and untimed == {"triton": "interpreted: not timed"}
    assert len(watch.prepared) == 1


def test_a_wrong_kernel_is_not_timed_and_costs_nobody_else_his_row(monkeypatch):
    monkeypatch.setattr(trial, "why_not", lambda _: None)
    monkeypatch.setattr(ml.kernels, "softmax", lambda x, block: torch.softmax(x, 0))
    watch = Instant()
    rows, untimed = attempt(tiny("softmax", "triton", "torch"), watch)
    assert list(rows) == ["torch"] and len(watch.prepared) == 1
    assert untimed["triton"].startswith("WrongAnswer: relative RMS error")


def test_a_library_that_refuses_a_shape_costs_its_own_row():
    rows, untimed = attempt(tiny("attention", "torch", "torch cudnn"))
    assert list(rows) == ["torch"] and untimed["torch cudnn"].startswith("RuntimeError: ")


def test_a_contestant_that_cannot_be_prepared_costs_its_own_row():
    class Clumsy(Instant):
        def prepare(self, calls):
            if not self.prepared:
                self.prepared.append(calls)
                raise RuntimeError("operation not permitted when stream is capturing\nand more")
            return super().prepare(calls)

    rows, untimed = attempt(tiny("attention", "naive", "torch"), Clumsy())
    assert list(rows) == ["torch"]
    assert untimed == {"naive": "RuntimeError: operation not permitted when stream is capturing"}


@pytest.mark.parametrize("place", ["operands", "race"])
def test_a_device_that_is_down_costs_the_case_and_not_the_run(place, monkeypatch):
    def down(*_):
        raise RuntimeError("CUDA error: an illegal memory access was encountered")

    watch = Instant()
    if place == "race":
        watch.race = down
    else:
        monkeypatch.setitem(
            trial.OPERATORS, "softmax", trial.Operator(down, down, down, trial.OPERATORS["softmax"].price)
        )
    rows, untimed = attempt(tiny("softmax"), watch)
    assert rows == {} and "illegal memory access" in untimed["torch"]


def test_data_are_fresh_with_every_seed_and_the_same_with_the_same():
    made = [
        trial.OPERATORS["softmax"].operands(tiny("softmax"), torch.Generator().manual_seed(s))[0] for s in (1, 1, 2)
    ]
    assert torch.equal(made[0], made[1]) and not torch.equal(made[0], made[2])


class PretendClock:
    def seconds(self, calls):
        for call in calls:
            call()
        return [1e-5] * len(calls)

    def capture(self, calls):
        return lambda: [call() for call in calls]


def test_a_gpu_takes_copies_in_turn_and_times_them_by_its_own_clock(monkeypatch):
    monkeypatch.setattr(trial, "cache_bytes", lambda _: 2 * BYTES["softmax"])
    watch = GpuWatch.__new__(GpuWatch)
    watch.seconds, watch.clock = 1e-4, PretendClock()
    seen = []
    monkeypatch.setattr(torch, "softmax", lambda x, dim, real=torch.softmax: seen.append(x.data_ptr()) or real(x, dim))
    rows, untimed = attempt(tiny("softmax"), watch)
    assert untimed == {} and rows["torch"].p50 == pytest.approx(
        1e-5 / 100
    )  # a graph of a hundred calls took one reading
    assert len(set(seen)) >= 5


@pytest.mark.parametrize("names", [("torch",), ("torch", "naive")])
def test_a_processor_times_one_or_several(names):
    rows, _ = attempt(tiny("attention", *names), ProcessorWatch(0.002))
    assert set(rows) == set(names) and all(0 < row.p20 <= row.p50 <= row.p80 for row in rows.values())


def test_what_is_left_out_says_why_of_everybody():
    rows, untimed = left_out(tiny("attention"), "left out: the time was up")
    assert rows == [] and [case.backend for case in untimed] == list(tiny("attention").contestants)
    assert {case.reason for case in untimed} == {"left out: the time was up"}


@pytest.mark.parametrize(
    ("problem", "line"),
    [
        (RuntimeError("cannot open /home/me/x.so: no\nstack"), "RuntimeError: cannot open … no"),
        (ValueError(""), "ValueError: no further word"),
        (RuntimeError("y" * 500), "RuntimeError: " + "y" * 186),
    ],
)
def test_problems_are_told_in_a_line_without_paths(problem, line):
    assert told(problem) == line


ON_A_GPU = {
    "attention": ({"B": 2, "L": 512, "S": 512, "H": 8, "G": 2, "D": 64}, {"causal": True}, ("triton", "torch flash")),
    "attention_backward": ({"B": 1, "L": 512, "S": 512, "H": 4, "G": 2, "D": 64}, {"causal": True}, ("triton", "torch flash")),
    "attention_varlen": (
        {"B": 3, "T": 1000, "H": 4, "G": 4, "D": 64}, {"causal": True, "lengths": "uneven"}, ("triton", "torch varlen"),
    ),
    "softmax": ({"M": 512, "N": 1000}, {}, ("triton", "triton online", "torch")),
    "matmul": ({"M": 1000, "N": 512, "K": 512}, {}, ("triton naive", "triton grouped", "triton persistent", "torch")),
}  # fmt: skip


@pytest.mark.gpu
@pytest.mark.parametrize("operator", ON_A_GPU)
def test_a_gpu_times_our_kernels_and_torchs_calls(operator):
    shape, options, names = ON_A_GPU[operator]
    rows, untimed = try_case(Case(operator, shape, "bfloat16", names, options), "cuda", GpuWatch(0.01), seed=5)
    assert {row.backend for row in rows} == set(names), untimed
    assert all(1e-7 < row.p50 < 1e-2 and row.ratio_to_torch for row in rows)
