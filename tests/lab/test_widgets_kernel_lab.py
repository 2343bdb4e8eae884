"""The kernel lab: counts are the formulas', times are honest or absent, and a bad contestant costs its own row alone."""

import csv
import io
import math
import time

import pytest
import torch

import minillm as ml
from minillm.errors import InvalidType, InvalidValue
from minillm.lab.widgets import base, kernel_lab, machines
from minillm.lab.widgets.contest import INTERPRETED, make_match
from minillm.lab.widgets.kernel_lab import explore_kernels
from minillm.lab.widgets.kernel_panel import page
from minillm.lab.widgets.kernel_picture import draw_comparison
from minillm.lab.widgets.operators import OPERATORS
from minillm.measure import Measurement, Record, Untimed, cost
from minillm.measure.hardware import KNOWN_HARDWARE, Hardware
from minillm.measure.kernel_cost import matmul_cost, softmax_bytes
from minillm.measure.tiles import tiled_attention_cost

needs_triton = pytest.mark.skipif(not ml.backends()["triton"].available, reason="Triton is absent")
SHAPE = {"B": 2, "L": 4096, "S": 4096, "H": 8, "G": 8, "D": 64}


@pytest.fixture(autouse=True)
def slow_machine(monkeypatch):
    """Ceilings of 10 GB/s and 100 GFLOP/s instead of a measurement, and nobody's records."""
    here = Hardware("a slow machine", None, 1e10, {"float32": 1e11, "bfloat16": 1e11}, "made up")
    monkeypatch.setattr(machines, "measured_here", lambda dtype: here)
    monkeypatch.setattr(machines, "records", lambda: [])
    return here


def record(*measurements, **changes):
    facts = dict(
        device="NVIDIA H200", driver="580", versions={"torch": "2.13"}, commit="0" * 7, date="2026-11-20T10:00:00+00:00",
        command="make gpu", copy_bytes_per_s=4e12, matmul_flops_per_s={"bfloat16": 8e14}, measurements=measurements,
    )  # fmt: skip
    return Record(**facts | changes)


def measured(backend, p50, shape=SHAPE, dtype="bfloat16", causal=True, **more):
    return Measurement("attention", backend, dtype, shape, p50, p50, p50, 10, options={"causal": causal}, **more)


def attend(q, k, v, causal=False):
    return ml.attention(q, k, v, causal=causal, backend="naive")


def row(data, name):
    return next(entry for entry in data.rows if entry.name == name)


@needs_triton
@pytest.mark.parametrize(("shape", "causal"), [("small", True), ("ragged", True), ("ragged", False), ("one row", True)])
def test_attention_counts_are_the_formulas_and_triton_is_tiled(shape, causal):
    data = explore_kernels(rungs=["tiled", "triton"], seconds=0.001).data(shape=shape, causal=causal)
    B, L, S, H, _, D = data.shape.values()
    want = tiled_attention_cost(B, L, S, H, D, block_l=64, block_s=64, causal=causal, dtype_bytes=4)
    for entry in data.entries:
        assert entry.verdict == "right"
        assert (entry.bytes_loaded, entry.bytes_stored, entry.flops) == (
            want.bytes.loaded,
            want.bytes.stored,
            want.flops,
        )
    assert row(data, "triton").p50 is None and row(data, "triton").note == INTERPRETED
    assert row(data, "tiled").p50 > 0


@needs_triton
@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float16"])
def test_softmax_and_matmul_counts_are_the_formulas(dtype):
    width = {"float32": 4}.get(dtype, 2)
    data = explore_kernels(operator="softmax", machine="datasheet: H200-SXM").data(dtype=dtype)
    for name, online in (("triton", False), ("triton online", True)):
        want = softmax_bytes(64, 256, online=online, dtype_bytes=width)
        assert (row(data, name).bytes_loaded, row(data, name).bytes_stored) == (want.loaded, want.stored)
    data = explore_kernels(operator="matmul", machine="datasheet: H200-SXM").data(dtype=dtype)
    want = matmul_cost(128, 128, 128, block_m=64, block_n=64, block_k=32, dtype_bytes=width)
    for name in ("triton naive", "triton grouped", "triton persistent"):
        assert (row(data, name).bytes_loaded, row(data, name).flops) == (want.bytes.loaded, want.issued)
    assert {entry.verdict for entry in data.entries} == {"right"}
    assert row(data, "naive").bytes_loaded > 10 * row(data, "torch").bytes_loaded


def shifted(q, k, v, causal=False):
    out = attend(q, k, v, causal=causal)
    out[0, 3, 1] += 1
    return out


def test_a_wrong_answer_shows_its_error_and_first_bad_index_and_no_time():
    entry = row(explore_kernels(shifted, rungs=["naive", "mine"], seconds=0.001).data(), "mine")
    assert entry.verdict == "wrong" and entry.p50 is None
    assert entry.max_error == pytest.approx(1, abs=1e-4)
    want = make_match(OPERATORS["attention"], OPERATORS["attention"].shapes["small"], "float32", True).want
    assert entry.rms_error == pytest.approx(math.sqrt(64 / want.square().sum()), rel=1e-3)
    assert entry.note.startswith("first bad index (0, 3, 1, 0): got ")
    assert "wrong 64 of 32768 elements" in entry.note


def never_returns(q, k, v, causal=False):
    while True:
        time.sleep(0.01)


def edits(q, k, v, causal=False):
    q *= 2
    return attend(q / 2, k, v, causal=causal)


def halves(q, k, v, causal=False):
    return attend(q, k, v, causal=causal).half()


def raises(q, k, v, causal=False):
    raise KeyError("no such tile")


def exits(q, k, v, causal=False):
    raise SystemExit


def fails_the_second_time():
    calls = []

    def function(q, k, v, causal=False):
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("out of luck")
        return attend(q, k, v, causal=causal)

    return function


@pytest.mark.parametrize(
    ("mine", "verdict", "note"),
    [
        (raises, "failed", "KeyError: 'no such tile'"),
        (exits, "failed", "SystemExit"),
        (edits, "wrong", "edits its input q"),
        (halves, "wrong", "float16"),
        (lambda q, k, v, causal: None, "wrong", "returned None"),
        (lambda q, k, v: attend(q, k, v), "failed", "no parameter `causal`"),
        (lambda q, k, v, causal: attend(q, k, v, causal=causal) * torch.nan, "wrong", "got nan"),
        (fails_the_second_time(), "failed", "when called again: RuntimeError: out of luck"),
    ],
)
def test_a_bad_contestant_costs_its_own_row_alone(mine, verdict, note):
    data = explore_kernels(mine, rungs=["naive", "mine", "sdpa"], seconds=0.001).data()
    assert [entry.name for entry in data.entries] == ["naive", "sdpa", "mine"]
    assert [entry.verdict for entry in data.entries] == ["right", "right", verdict]
    assert note in row(data, "mine").note and row(data, "mine").p50 is None
    assert all(entry.p50 > 0 for entry in data.entries[:2])


def test_an_answer_of_nothing_but_nan_is_drawn():
    lab = explore_kernels(lambda q, k, v, causal: q * torch.nan, rungs=["naive", "mine"], seconds=0.001)
    assert lab.still().png and "nan" in lab.text()


def test_a_contestant_that_never_returns_is_stopped(monkeypatch):
    monkeypatch.setattr("minillm.lab.widgets.contest.TIME_LIMIT", 0.2)
    [entry] = explore_kernels(never_returns, rungs=["mine"], seconds=0.001).data().entries
    assert entry.verdict == "failed" and "did not return within 0.2 seconds" in entry.note


def test_a_contestant_without_the_option_may_run_where_it_is_off():
    data = explore_kernels(lambda q, k, v: attend(q, k, v), rungs=["mine"], causal=False, seconds=0.001).data()
    assert data.entries[0].verdict == "right" and data.entries[0].p50 > 0


@needs_triton
def test_an_interpreted_kernel_of_ones_own_is_right_counted_and_not_timed():
    def doubled(x):
        return ml.kernels.softmax(x)

    entry = row(explore_kernels(doubled, "softmax", rungs=["mine"], seconds=0.001).data(), "mine")
    assert (entry.verdict, entry.note, entry.p50) == ("right", INTERPRETED, None)
    assert entry.bytes_loaded == 64 * 256 * 4


def test_a_datasheet_gives_limits_and_no_times():
    data = explore_kernels(rungs=["naive", "sdpa"], machine="datasheet: H200-SXM").data(dtype="bfloat16")
    h200 = KNOWN_HARDWARE["H200-SXM"]
    for entry in data.entries:
        moved = entry.bytes_loaded + entry.bytes_stored
        assert entry.p50 is None
        want = cost.roofline_time(moved, entry.flops, h200.bandwidth_bytes_per_s, h200.rate("bfloat16"))
        assert data.limit(entry) == pytest.approx(want)
    assert "not timed: another machine is chosen" in explore_kernels(machine="datasheet: T4", rungs=["naive"]).text()


def test_a_record_speaks_for_itself_with_machine_and_date(monkeypatch):
    rows = [
        measured("torch cudnn", 2e-3, flops=10**12, bytes_moved=10**8, max_error=0.01, rms_error=2e-3),
        measured("triton", 4e-3, flops=10**12, bytes_moved=10**8, best_torch="torch cudnn", ratio_to_torch=0.5),
        measured("triton", 1e-4, shape=SHAPE | {"L": 512, "S": 512}),
        measured("triton", 1e-3, causal=False),
    ]
    left_out = Untimed("attention", "torch flex", "bfloat16", SHAPE, "does not compile", {"causal": True})
    h200 = record(*rows, untimed=(left_out,))
    monkeypatch.setattr(machines, "records", lambda: [h200])
    name = machines.record_name(h200)
    assert name == "NVIDIA H200, 2026-11-20: attention"
    data = explore_kernels(rungs=["naive"], machine=name, dtype="bfloat16").data()
    assert [(e.name, e.where, e.p50) for e in data.recorded] == [
        ("torch cudnn", "NVIDIA H200, 2026-11-20", 2e-3),
        ("triton", "NVIDIA H200, 2026-11-20", 4e-3),
        ("torch flex", "NVIDIA H200, 2026-11-20", None),
    ]
    assert data.recorded[1].note == "0.50 times as fast as torch cudnn"
    assert data.limit(data.recorded[0]) == pytest.approx(10**12 / 8e14)
    assert data.entries[0].p50 is None  # this machine's time has no place beside an H200's
    text = explore_kernels(rungs=["naive"], machine=name, dtype="bfloat16").text()
    assert "recorded on NVIDIA H200, 2026-11-20, not at this shape; the largest it has is B = 2, L = 4096" in text
    assert "torch flex: not timed: does not compile" in text


def test_a_record_answers_at_the_very_shape_and_says_what_it_lacks(monkeypatch):
    small = dict(B=1, L=128, S=128, H=4, G=2, D=64)
    h200 = record(measured("triton", 1e-3), measured("triton", 1e-5, shape=small))
    engine = record(Measurement("generate", "minillm", "float32", {"B": 1}, 1, 1, 1, 3))
    monkeypatch.setattr(machines, "records", lambda: [h200, engine])
    lab = explore_kernels(rungs=["naive"], machine=machines.record_name(h200), dtype="bfloat16")
    assert [e.p50 for e in lab.data().recorded] == [1e-5]
    assert "this shape B = 1, L = 128" in lab.text()
    assert "not float32, causal; it has bfloat16, causal" in lab.text(dtype="float32")
    assert "no record of this operator" in lab.text(machine=machines.record_name(engine))
    assert lab.still(machine=machines.record_name(engine)).png


def test_a_record_without_dots_is_placed_by_its_own_shape(monkeypatch):
    softmax = Measurement(
        "softmax", "triton", "bfloat16", {"M": 4096, "N": 8192}, 1e-4, 1e-4, 1e-4, 9, bytes_moved=2**27
    )
    h200 = record(softmax)
    monkeypatch.setattr(machines, "records", lambda: [h200])
    lab = explore_kernels(operator="softmax", rungs=["torch"], machine=machines.record_name(h200), dtype="bfloat16")
    assert lab.data().intensity(lab.data().recorded[0]) == pytest.approx(5 * 4096 * 8192 / 2**27)
    assert lab.data().limit(lab.data().recorded[0]) == pytest.approx(2**27 / 4e12)


def test_the_three_exports_hold_the_same_rows():
    data = explore_kernels(shifted, rungs=["naive", "mine"], seconds=0.001).data()
    table = data.table()
    assert [line["contestant"] for line in table] == ["naive", "mine"]
    read = list(csv.DictReader(io.StringIO(data.to_csv())))
    for line, parsed in zip(table, read, strict=True):
        assert {name: "" if value is None else str(value) for name, value in line.items()} == parsed
    assert table[0]["bytes_moved"] == table[0]["bytes_loaded"] + table[0]["bytes_stored"]
    assert table[0]["flops_per_byte"] == pytest.approx(table[0]["flops"] / table[0]["bytes_moved"])
    lines = data.to_markdown().splitlines()
    assert lines[0].startswith("**attention, B = 1, L = 128")
    widths = {line.count("|") for line in lines[2:]}
    assert len(widths) == 1 and len(lines) == 2 + 2 + 2 and "first bad index" in lines[-1]


def test_points_stand_where_they_ran_or_on_the_roof(slow_machine):
    data = explore_kernels(shifted, rungs=["sdpa", "mine"], seconds=0.001).data()
    roofline = draw_comparison(data).axes[-1]
    points = {line.get_label(): line.get_xydata()[0] for line in roofline.lines[1:]}
    sdpa, mine = data.entries
    assert points["sdpa"] == pytest.approx([data.intensity(sdpa), sdpa.flops / sdpa.p50])
    assert points["mine (wrong)"] == pytest.approx([data.intensity(mine), min(1e10 * data.intensity(mine), 1e11)])


def test_moving_a_control_waits_for_the_button():
    panel = ml.lab.compare_kernels(rungs=["naive", "sdpa"], seconds=0.001)
    shown = bytes(panel.image.value)
    panel.control["dtype"].set_state({"index": 1})
    assert panel.control["dtype"].value == "bfloat16"
    assert panel.data.dtype == "float32" and bytes(panel.image.value) == shown
    assert "press Compare" in panel.notice.value
    panel.button.click()
    assert panel.data.dtype == "bfloat16" and panel.notice.value == "" and not panel.button.disabled
    assert {line["dtype"] for line in panel.table()} == {"bfloat16"}
    assert panel.readout.value.count("<tr") == 1 + 2 and "✓ right" in panel.readout.value
    assert "bfloat16" in panel.to_markdown() and "bfloat16" in panel.to_csv() and "bfloat16" in panel.readout.value


def test_what_a_contestant_says_is_escaped():
    def hostile(q, k, v, causal=False):
        raise ValueError("<script>alert(1)</script>")

    panel = ml.lab.compare_kernels(hostile, rungs=["mine"])
    assert "&lt;script&gt;" in panel.readout.value and "<script>" not in panel.readout.value
    assert "✗ failed" in panel.readout.value


def test_what_a_record_says_is_escaped(monkeypatch):
    hostile = record(measured("<b>fast</b>", 1e-3))
    monkeypatch.setattr(machines, "records", lambda: [hostile])
    lab = explore_kernels(rungs=["naive"], machine=machines.record_name(hostile), dtype="bfloat16")
    assert "&lt;b&gt;fast" in page(lab.data()) and "<b>fast" not in page(lab.data())


def test_an_error_is_shown_and_the_last_comparison_stays():
    panel = ml.lab.compare_kernels(rungs=["naive"], seconds=0.001)
    panel.control["contestants"].value = "naive, tilde"
    panel.button.click()
    assert "unknown contestant &#x27;tilde&#x27; (did you mean &#x27;tiled&#x27;?)" in panel.notice.value
    assert [line["contestant"] for line in panel.table()] == ["naive"] and not panel.button.disabled
    panel.control["contestants"].value = "sdpa naive"
    panel.button.click()
    assert [line["contestant"] for line in panel.table()] == ["naive", "sdpa"] and panel.notice.value == ""


def test_every_control_is_labelled():
    labels = [control.description for control in ml.lab.compare_kernels(rungs=["sdpa"], seconds=0.001).control.values()]
    assert labels == [
        "Operator", "Contestants (names, or all)", "Shape (sizes below)", "Numbers (bytes each)",
        "Causal (attention only)", "Machine (ceilings, times)",
    ]  # fmt: skip


def test_what_a_notebook_keeps_is_the_same_on_every_machine(monkeypatch):
    def kept():
        return ml.lab.compare_kernels(shifted, rungs=["naive", "sdpa", "mine"], seconds=0.001)._repr_mimebundle_()

    first = kept()["text/plain"]
    fast = Hardware("a fast machine", None, 1e13, {"float32": 1e15}, "made up")
    monkeypatch.setattr(machines, "measured_here", lambda dtype: fast)
    assert kept()["text/plain"] == first
    assert "machine" not in first.replace("the same on every machine", "") and " µs" not in first
    assert "mine: first bad index (0, 3, 1, 0)" in first
    assert kept()["image/png"]


def test_without_ipywidgets_it_is_a_picture_with_the_same_exports(monkeypatch):
    monkeypatch.setattr(kernel_lab, "live_widgets_available", lambda: False)
    still = ml.lab.compare_kernels(rungs=["naive"], seconds=0.001)
    assert isinstance(still, base.Still) and still.png and "pip install ipywidgets" in repr(still)
    assert still.table()[0]["contestant"] == "naive" and "naive" in still.to_markdown() and "naive" in still.to_csv()


def test_a_shape_of_ones_own():
    lab = explore_kernels(rungs=["naive"], shape={"L": 7, "S": 9}, seconds=0.001)
    assert dict(lab.data().shape) == dict(B=1, L=7, S=9, H=4, G=2, D=64)
    assert lab.data(shape="small").shape["L"] == 128
    with pytest.raises(InvalidValue, match="your shape is one of attention"):
        lab.data(operator="softmax", contestants="all")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(mine=3), InvalidType, "mine must be a function; got 3"),
        (dict(operator="atention"), InvalidValue, "unknown operator 'atention' .did you mean 'attention'"),
        (dict(dtype="float64"), InvalidValue, "unknown dtype 'float64'"),
        (dict(machine="H200"), InvalidValue, "unknown machine 'H200'"),
        (dict(rungs=["naiv"]), InvalidValue, "did you mean 'naive'"),
        (dict(rungs=["mine"]), InvalidValue, "unknown contestant 'mine'"),
        (dict(shape={"L": 0}), InvalidValue, "L must be a whole number above 0; got 0"),
        (dict(shape={"M": 4}), InvalidValue, "unknown size of attention 'M'"),
        (dict(operator=["softmax"]), InvalidValue, "unknown operator"),
        (dict(rungs=3), InvalidType, "rungs must be a list of names, or None for all; got 3; pass names"),
        (dict(rungs=[3]), InvalidType, "rungs must be a list of names"),
        (dict(shape=[1, 2]), InvalidType, "shape must map letters to sizes; got .1, 2.; pass some of B, L, S"),
        (dict(seconds=-1), InvalidValue, "seconds must be finite and above zero; got -1"),
        (
            dict(shape={"B": 2**20, "L": 2**20}, rungs="naive"),
            InvalidValue,
            "must fit the memory .* choose smaller sizes",
        ),
    ],
)
def test_bad_requests_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        ml.lab.compare_kernels(**arguments)
