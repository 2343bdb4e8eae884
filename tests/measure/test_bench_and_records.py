"""The timer's numbers are ordered and paired; a record survives a round trip, and every malformed field is refused."""

import dataclasses
import json
import platform
import sys
import time

import pytest

from minillm.errors import FileProblem, InvalidType, InvalidValue
from minillm.measure import (
    Measurement,
    Record,
    Untimed,
    compare_calls,
    hardware,
    load_record,
    records,
    run,
    save_record,
    time_call,
)


def test_time_call_measures_a_sleep():
    timing = time_call(lambda: time.sleep(0.002), min_seconds=0.02, label="nap")
    assert 0.002 <= timing.p20 <= timing.p50 <= timing.p80
    assert timing.p20 < 0.2
    assert timing.runs >= timing.blocks >= 1
    assert str(timing).startswith("nap: ")


def test_compare_calls_takes_turns_and_names_the_first_the_baseline():
    order = []

    def contestant(name, seconds):
        return lambda: (order.append(name), time.sleep(seconds))

    result = compare_calls({"a": contestant("a", 0.001), "b": contestant("b", 0.03)}, min_seconds=0.02, rounds=4)
    assert result.baseline == "a" and result.ratios["a"].p50 == 1
    assert result.ratios["b"].p50 > 1.5  # thirty times as long, on a machine that may be busy
    turns = [name for name, before in zip(order, ["", *order], strict=False) if name != before]
    assert "".join(turns).endswith("abababab")


@pytest.mark.parametrize(
    ("call", "error"),
    [
        (lambda: time_call(3), InvalidType),
        (lambda: time_call(print, min_seconds=0), InvalidValue),
        (lambda: compare_calls({"a": print}), InvalidValue),
        (lambda: compare_calls({"a": print, "b": 3}), InvalidType),
        (lambda: compare_calls({"a": print, "b": print}, rounds=1), InvalidValue),
        (lambda: compare_calls({"a": print, "b": print}, rounds=2.5), InvalidType),
    ],
)
def test_what_cannot_be_timed_is_refused(call, error):
    with pytest.raises(error):
        call()


MEASUREMENT = Measurement(
    operator="flash_attention",
    backend="triton",
    dtype="bfloat16",
    shape={"B": 4, "L": 8192, "S": 8192, "H": 32, "G": 8, "D": 128},
    p20=0.004,
    p50=0.005,
    p80=0.006,
    runs=100,
    bytes_moved=2_000_000_000,
    flops=2_200_000_000_000,
    best_torch="scaled_dot_product_attention",
    ratio_to_torch=1.1,
    max_error=0.001,
    rms_error=0.002,
    options={"causal": True},
)
UNTIMED = Untimed("softmax", "triton", "bfloat16", {"B": 4, "N": 8}, "interpreted: not timed")
RECORD = Record(
    device="NVIDIA H200",
    driver="570.1",
    versions={"torch": "2.13.0", "triton": "3.7.1", "python": "3.12.1"},
    commit="0123abc",
    date="2026-01-31T12:00:00+00:00",
    command="python -m benchmarks.operators --dtype bfloat16",
    copy_bytes_per_s=4.0e12,
    matmul_flops_per_s={"bfloat16": 8.0e14},
    measurements=(MEASUREMENT,),
    untimed=(UNTIMED,),
)


def test_a_record_survives_a_round_trip_and_is_the_same_bytes(tmp_path):
    save_record(RECORD, tmp_path / "a.json")
    again = load_record(tmp_path / "a.json")
    assert again == RECORD
    save_record(again, tmp_path / "b.json")
    text = (tmp_path / "a.json").read_text()
    assert (tmp_path / "b.json").read_text() == text and text.endswith("}\n")
    assert list(json.loads(text)) == sorted(json.loads(text))


def test_a_cpu_benchmark_on_a_gpu_machine_is_a_record_of_the_cpu(monkeypatch, tmp_path):
    machine = hardware.Machine("NVIDIA H200", "570.1", "Linux", "A CPU", 2, None, 2, {"torch": "2.13.0"})
    monkeypatch.setattr(run, "describe_this_machine", lambda: machine)
    for name, driver in (("A CPU", None), ("NVIDIA H200", "570.1")):
        ceilings = hardware.Hardware(name, None, 1e10, {"float32": 1e11}, "measured here")
        record = run.record_run([MEASUREMENT], ceilings, "python benchmarks/x.py")
        assert (record.device, record.driver) == (name, driver)
        assert run.write_record(record, "x", tmp_path).name == f"{name.lower().replace(' ', '-')}-x.json"


def test_a_driver_that_does_not_answer_has_no_version(monkeypatch):
    monkeypatch.setattr(hardware.shutil, "which", lambda _: sys.executable)
    assert hardware._driver() is None  # Python knows no --query-gpu, complains and fails


def test_rates_and_fractions_come_from_the_facts():
    assert MEASUREMENT.bytes_per_s == 4e11
    assert MEASUREMENT.flops_per_s == 4.4e14
    assert RECORD.fraction_of_copy(MEASUREMENT) == pytest.approx(0.1)
    assert RECORD.fraction_of_matmul(MEASUREMENT) == pytest.approx(0.55)
    bare = dataclasses.replace(MEASUREMENT, bytes_moved=None, flops=None)
    assert bare.bytes_per_s is None and RECORD.fraction_of_copy(bare) is None
    assert RECORD.fraction_of_matmul(dataclasses.replace(MEASUREMENT, dtype="float8")) is None
    assert RECORD.select(operator="flash_attention", D=128) == [MEASUREMENT]
    assert RECORD.select(backend="sdpa") == RECORD.select(D=64) == []


BAD_MEASUREMENT = {
    "operator": ["", None, 3],
    "backend": [" "],
    "dtype": [None],
    "shape": [{}, [1], {"B": 0}, {"B": "4"}],
    "p20": [0, -1, float("nan"), 0.0051, "fast"],
    "p50": [float("inf"), 0.1, True],
    "p80": [0.001],
    "runs": [0],
    "bytes_moved": [-5],
    "flops": [0],
    "best_torch": [None, ""],
    "ratio_to_torch": [None, 0],
    "max_error": [-1, float("nan")],
    "rms_error": [-1, float("inf")],
    "options": [[1]],
}
BAD_UNTIMED = {"operator": [""], "backend": [None], "shape": [{}], "options": [3], "reason": ["", None, "see /tmp/log"]}
BAD_RECORD = {
    "device": ["", "/dev/nvidia0"],
    "driver": ["", 5],
    "system": ["C:\\Windows"],
    "versions": [{}, {"torch": 2}, {"torch": "2.13 in /opt/torch"}],
    "commit": ["main", "", None],
    "date": ["yesterday", "2026-01-31T12:00:00", 20260131],
    "command": ["", "python /home/me/bench.py", "python ~/bench.py", "OUT=/tmp/x make bench"],
    "copy_bytes_per_s": [0, None],
    "matmul_flops_per_s": [{}, {"bfloat16": -1}],
    "measurements": [(), [], (UNTIMED,)],
    "untimed": [None, (MEASUREMENT,)],
}


@pytest.mark.parametrize(("name", "bad"), [(n, b) for n, values in BAD_MEASUREMENT.items() for b in values])
def test_each_malformed_measurement_is_refused_by_name(name, bad):
    with pytest.raises(InvalidValue, match=name):
        dataclasses.replace(MEASUREMENT, **{name: bad})


@pytest.mark.parametrize(("name", "bad"), [(n, b) for n, values in BAD_UNTIMED.items() for b in values])
def test_each_malformed_case_that_was_not_timed_is_refused_by_name(name, bad):
    with pytest.raises(InvalidValue, match=name):
        dataclasses.replace(UNTIMED, **{name: bad})


def test_a_record_made_before_cases_could_go_untimed_still_reads(tmp_path):
    save_record(RECORD, tmp_path / "a.json")
    content = json.loads((tmp_path / "a.json").read_text())
    del content["untimed"], content["measurements"][0]["rms_error"]
    (tmp_path / "a.json").write_text(json.dumps(content))
    again = load_record(tmp_path / "a.json")
    assert again.untimed == () and again.measurements[0].rms_error is None


@pytest.mark.parametrize(("name", "bad"), [(n, b) for n, values in BAD_RECORD.items() for b in values])
def test_each_malformed_record_is_refused_by_name(name, bad):
    with pytest.raises(InvalidValue, match=name):
        dataclasses.replace(RECORD, **{name: bad})


REQUIRED = [f.name for f in dataclasses.fields(Record) if f.default is dataclasses.MISSING]


@pytest.mark.parametrize("name", [*REQUIRED, "schema", "units"])
def test_a_file_without_a_field_is_refused_with_its_name(tmp_path, name):
    with pytest.raises(FileProblem, match=rf"x\.json.*{name}"):
        _edited(tmp_path, lambda content: content.pop(name))


@pytest.mark.parametrize(
    ("edit", "told"),
    [
        (lambda c: c.update(devise="H200"), "did you mean 'device'"),
        (lambda c: c.update(schema=99), "schema must be 1"),
        (lambda c: c.update(units={"time": "ms"}), "units must be"),
        (lambda c: c.update(measurements={}), "measurements must be a list"),
        (lambda c: c["measurements"].append(3), "a measurement must be a table"),
        (lambda c: c.update(untimed=3), "untimed must be a list"),
        (lambda c: c["untimed"][0].pop("reason"), "case not timed lacks .*reason"),
        (lambda c: c["measurements"][0].pop("p50"), "p50"),
        (lambda c: c["measurements"][0].update(p95=1), "p95"),
        (lambda c: c["measurements"][0].update(p20=9), "p20 <= p50 <= p80"),
        (lambda c: c.clear(), "the file must be a table"),
    ],
)
def test_an_edited_file_is_refused_with_the_reason(tmp_path, edit, told):
    with pytest.raises(FileProblem, match=told):
        _edited(tmp_path, edit)


def _edited(folder, edit):
    save_record(RECORD, folder / "x.json")
    content = json.loads((folder / "x.json").read_text())
    edit(content)
    (folder / "x.json").write_text(json.dumps(content))
    load_record(folder / "x.json")


def test_files_that_are_no_records(tmp_path):
    with pytest.raises(FileProblem, match="no such file"):
        load_record(tmp_path / "none.json")
    (tmp_path / "half.json").write_text('{"device": ')
    with pytest.raises(FileProblem, match=r"half\.json.*not readable as JSON"):
        load_record(tmp_path / "half.json")


def test_every_bundled_record_is_valid():
    assert all(isinstance(record, Record) for record in records())


def test_hardware_is_found_by_any_spelling_and_the_nearest_name_is_offered():
    assert hardware.lookup("h200 sxm").bandwidth_bytes_per_s == 4.8e12
    assert hardware.lookup("rtx4090") is hardware.KNOWN_HARDWARE["RTX 4090"]
    with pytest.raises(InvalidValue, match="did you mean 'H100-SXM'"):
        hardware.lookup("H100-SMX")
    with pytest.raises(InvalidValue, match="float8"):
        hardware.lookup("H100-SXM").rate("float4")
    assert hardware.lookup("H100-SXM").ridge_point("bfloat16") == pytest.approx(295, abs=1)


def test_every_known_machine_names_its_source_and_is_dense():
    for machine in hardware.KNOWN_HARDWARE.values():
        assert "sheet" in machine.source or "whitepaper" in machine.source
        assert machine.rate("float16") / machine.bandwidth_bytes_per_s < 450


def test_this_machine_is_measured_and_described_without_saying_whose_it_is():
    measured = hardware.measure_this_machine("cpu", dtypes=("float32",), min_seconds=0.02)
    assert 1e8 < measured.bandwidth_bytes_per_s < 1e13
    assert 1e8 < measured.rate("float32") < 1e14
    facts = hardware.describe_this_machine()
    assert facts.cores >= 1 and facts.versions["torch"]
    assert not (platform.node() and platform.node() in str(facts)) and "/" not in facts.processor + facts.system


def test_a_folder_that_cannot_hold_a_record_is_refused(tmp_path):
    assert run.writable_folder(tmp_path / "new" / "folder").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(
        FileProblem, match=r"a record needs a folder that can be written; got .*; name another with --out"
    ):
        run.writable_folder(tmp_path / "file" / "folder")
