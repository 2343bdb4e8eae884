"""A run from its ceilings to its record: saved as it goes, honest about what it left out, and named by its machine."""

import runpy
from pathlib import Path
from types import SimpleNamespace

import journal
import pytest
import torch
from plan import Case

from minillm import cli
from minillm.measure import Measurement, Untimed, load_record
from minillm.measure.hardware import Hardware

CEILINGS = Hardware("A CPU", None, 1e10, {"float32": 1e11}, "measured here")
PLAN = [
    Case("softmax", {"M": 4, "N": 8}, "float32", ("triton", "torch")),
    Case("matmul", {"M": 4, "N": 8, "K": 4}, "float32", ("torch",)),
]


@pytest.fixture
def program(repository, monkeypatch):
    """The script's names, with its plan and its ceilings replaced by small ones, on a processor."""
    names = runpy.run_path(str(repository / "benchmarks" / "operators" / "__main__.py"))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    replacements = {"measure_this_machine": lambda _: CEILINGS, "cpu_plan": lambda quick: PLAN[: 1 if quick else 2]}
    for name, value in replacements.items():
        monkeypatch.setitem(names["main"].__globals__, name, value)
    return names


def run(program, folder, *words):
    program["main"](["--out", str(folder), "--seconds", "0.001", "--seed", "3", *words])


def test_a_run_ends_in_a_record_named_by_machine_and_benchmark(program, tmp_path, capsys):
    run(program, tmp_path)
    record = load_record(tmp_path / "a-cpu-operators.json")
    assert [row.operator for row in record.measurements] == ["softmax", "matmul"]
    assert [(case.backend, case.reason) for case in record.untimed] == [("triton", "interpreted: not timed")]
    assert record.command == "python benchmarks/operators --seconds 0.001 --seed 3"
    assert (record.device, record.copy_bytes_per_s) == ("A CPU", 1e10)
    printed = capsys.readouterr().out
    assert "[2/2] matmul M 4 N 8 K 4 float32" in printed and "2 rows measured, 1 not timed" in printed


def test_a_quick_run_does_not_overwrite_a_whole_one(program, tmp_path):
    run(program, tmp_path, "--quick")
    assert [path.name for path in tmp_path.iterdir()] == ["a-cpu-operators-quick.json"]


def test_one_operator_can_be_asked_for(program, tmp_path):
    run(program, tmp_path, "--only", "matmul")
    record = load_record(tmp_path / "a-cpu-operators.json")
    assert [row.operator for row in record.measurements] == ["matmul"] and "--only matmul" in record.command


def test_nothing_is_written_when_told_not_to(program, tmp_path):
    run(program, tmp_path, "--no-record")
    assert list(tmp_path.iterdir()) == []


def test_when_the_time_is_up_the_rest_is_left_out_by_name(program, capsys):
    late = iter([False, True])
    book = journal.Journal(CEILINGS, "python x", None)
    program["run"](PLAN, book, lambda case: ([row(case)], []), lambda: next(late))
    assert [r.operator for r in book.record.measurements] == ["softmax"]
    assert [(c.operator, c.reason) for c in book.record.untimed] == [("matmul", "left out: the time was up")]


def test_a_run_that_timed_nothing_fails_and_leaves_no_record(program, tmp_path):
    with pytest.raises(SystemExit, match="no record"):
        run(program, tmp_path, "--minutes", "0")
    assert list(tmp_path.iterdir()) == []


def test_the_command_finds_the_folder_and_hands_its_options_on(monkeypatch, tmp_path, repository):
    ran = []
    monkeypatch.setattr(
        cli.subprocess, "run", lambda words, **_: ran.append(words[2:]) or SimpleNamespace(returncode=0)
    )
    assert cli.main(["bench", "operators", "--quick", "--out", str(tmp_path)]) == 0
    assert ran == [[str(repository / "benchmarks" / "operators"), "--quick", "--out", str(tmp_path)]]
    ran.clear()
    assert cli.main(["bench"]) == 0
    assert [Path(words[0]).name for words in ran] == ["cache", "engine.py", "operators", "serving", "serving_on_a_gpu"]


def row(case, seconds=0.001):
    facts = dict(
        operator=case.operator, backend="torch", dtype=case.dtype, shape=case.shape, max_error=0.0, rms_error=0.0
    )
    return Measurement(**facts, p20=seconds, p50=seconds, p80=seconds, runs=1, flops=5 * 10**7, bytes_moved=10**6)


def test_the_record_is_saved_after_every_case():
    saved = []
    book = journal.Journal(CEILINGS, "python x", saved.append)
    book.add([], [Untimed("softmax", "triton", "float32", {"M": 4}, "interpreted: not timed")])
    assert saved == []  # a record needs a number
    for case in PLAN:
        book.add([row(case)], [])
    assert [len(record.measurements) for record in saved] == [1, 2]
    assert all(len(record.untimed) == 1 for record in saved)


def test_a_row_reads_as_rates_and_their_fractions(capsys):
    book = journal.Journal(CEILINGS, "python x", None)
    book.add([row(PLAN[0])], [])
    line = " ".join(capsys.readouterr().out.split())
    assert line == "torch 1.000 ms 50 GFLOP/s ( 50% of matmul) 1 GB/s ( 10% of copy) rms error 0.0e+00"
