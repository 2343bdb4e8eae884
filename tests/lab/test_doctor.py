"""The doctor: quick, never raising, honest about what it measured, and right when something is missing."""

import importlib
import json
import subprocess
import sys
import time

import pytest

from minillm.lab.doctor import facts
from minillm.lab.doctor.report import BlindSpot, Report, Verdict

examine = importlib.import_module("minillm.lab.doctor")  # the module, whatever `minillm.lab.doctor` is by now
HAS_TRITON = facts.version("triton") is not None


@pytest.fixture(scope="module")
def report():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(examine, "PROBE_SECONDS", 60.0)  # a loaded test machine is no reason to miss an answer
        return examine.doctor()


def spot(report, word):
    return next(s for s in report.blind_spots if word in s.name)


def test_a_hanging_self_test_cannot_hold_up_the_report(monkeypatch):
    assert examine.PROBE_SECONDS <= 8
    monkeypatch.setattr(examine, "PROBE_SECONDS", 0.5)
    monkeypatch.setattr(examine, "start_probes", lambda: stuck("import time; time.sleep(60)"))
    start = time.monotonic()
    examine.doctor()
    assert time.monotonic() - start < 5


@pytest.mark.skipif(not HAS_TRITON, reason="the self-tests need Triton")
def test_each_blind_spot_of_the_interpreter_was_fallen_into(report):
    assert spot(report, "race").measured.endswith("got 16")
    assert "came to 512" in spot(report, "inside its tensor").measured
    assert "512x512" in spot(report, "shared memory").measured
    assert "1 + 0.5 in bfloat16 gave" in spot(report, "bfloat16").measured
    assert not any("not measured" in s.measured or "refused" in s.measured for s in report.blind_spots)


def test_shell_text_card_and_dictionary_say_the_same(report):
    text, card, facts = repr(report), report._repr_html_(), json.loads(json.dumps(report.to_json()))
    for name in ("naive", "sdpa"):
        assert name in text and name in card and name in [b["name"] for b in facts["backends"]]
    for row in facts["blind_spots"]:
        assert " ".join(row["measured"].split()) in " ".join(text.split())
    assert facts["versions"]["torch"] in text
    assert max(map(len, text.splitlines())) <= 100


def test_quick_skips_the_self_tests_and_says_so(monkeypatch):
    monkeypatch.setattr(examine, "start_probes", lambda: pytest.fail("a self-test was started"))
    found = examine.doctor(quick=True)
    if HAS_TRITON:
        assert spot(found, "bfloat16").measured == "not tested: quick"


def test_without_triton_it_says_so_and_goes_on(monkeypatch):
    monkeypatch.setitem(sys.modules, "triton", None)
    found = examine.doctor()
    assert found.versions["triton"] == "not installed"
    assert found.kernels.startswith("absent")
    assert [s.name for s in found.blind_spots] == ["how fast a GPU kernel is", "what a Triton kernel does"]
    assert any("Triton" in line for line in found.suggestions)


def test_a_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    advice = examine.doctor(quick=True).suggestions
    assert any(line.endswith("-m pip install ipywidgets") for line in advice)
    assert advice[-1] == "To start: make lab"


def test_a_gpu_machine_is_told_about_other_gpus_and_the_interpreter():
    names = [s.name for s in examine.blind_spots("gpu: kernels are compiled for H200", {}, "untested")]
    assert names[0] == "how fast other GPUs are"
    assert names[1].startswith("when a kernel is interpreted")


def test_a_broken_room_is_a_finding_not_a_crash(monkeypatch):
    import minillm.attention

    def broken():
        raise RuntimeError("no backends today")

    monkeypatch.setattr(minillm.attention, "backends", broken, raising=False)
    monkeypatch.setattr(facts, "_processor", lambda: 1 / 0)
    found = examine.doctor(quick=True)
    assert not found.backends[0].works and "no backends today" in found.backends[0].why
    assert "ZeroDivisionError" in found.machine["processor"]


def stuck(code):
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_a_self_test_that_hangs_is_cut_off_and_its_earlier_answers_kept():
    said = '{"probe": "race", "hidden": true, "measured": "sixteen"}'
    child = stuck(f"import time; print('chatter'); print('{said}', flush=True); time.sleep(60)")
    start = time.monotonic()
    measured = examine.finish_probes(child, start + 1.0)
    assert time.monotonic() - start < 5 and child.poll() is not None
    assert measured["race"] == "sixteen"
    assert measured["bfloat16"].startswith("not measured (no answer within")


def test_a_self_test_that_dies_gives_its_last_words():
    measured = examine.finish_probes(stuck("raise SystemExit('the kernel cracked')"), time.monotonic() + 30)
    assert set(measured) == set(examine.BLIND_SPOTS)
    assert all("the kernel cracked" in m for m in measured.values())


def test_the_card_escapes_what_it_shows():
    found = Report({}, {"a<b": "c&d"}, [Verdict("x", False, "<why>")], "k", [BlindSpot("<n>", "w", "m", "i")], ["<s>"])
    card = found._repr_html_()
    assert "<why>" not in card and "&lt;why&gt;" in card and "<s>" not in card and "a&lt;b" in card


def test_the_door_opens_even_when_the_module_came_first():
    code = "import minillm.lab.doctor, minillm as ml; assert type(ml.lab.doctor(quick=True)).__name__ == 'Report'"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
