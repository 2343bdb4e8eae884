"""The GPU's serving benchmark, rehearsed on the processor: the whole path, what it counts, and what it does about trouble."""

import importlib.util
import sys
from types import SimpleNamespace

import pytest
import torch

from minillm.measure import load_record
from minillm.measure.hardware import Hardware
from minillm.model import KNOWN_CONFIGS

FILES = ("gpu_rows", "ours", "theirs")


@pytest.fixture
def bench(repository, monkeypatch):
    """The benchmark's files: main, ours, theirs."""
    folder = repository / "benchmarks" / "serving_on_a_gpu"
    monkeypatch.syspath_prepend(str(folder))
    before = {name: sys.modules.pop(name) for name in FILES if name in sys.modules}
    spec = importlib.util.spec_from_file_location("serving_on_a_gpu", folder / "__main__.py")
    main = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(main)
    ceilings = Hardware("a machine", 2**34, 1e10, {"float32": 1e11, "bfloat16": 2e11}, "made up")
    monkeypatch.setattr(main, "measure_this_machine", lambda *_, **__: ceilings)
    yield SimpleNamespace(main=main, ours=__import__("ours"), theirs=__import__("theirs"))
    for name in FILES:
        sys.modules.pop(name, None)
    sys.modules.update(before)


def run(bench, folder, *words):
    """A dry run -> its record, if it wrote one."""
    bench.main.main(["--dry", "--model", "Qwen3-0.6B", "--out", str(folder), *words])
    files = list(folder.glob("*.json"))
    return load_record(files[0]) if files else None


def test_the_texts_are_those_of_nano_vllm(bench):
    requests = bench.main.ragged(256, 100, 1024)
    assert sum(r.num_tokens for r in requests) == 133_966
    assert sum(len(r.prompt) for r in requests) == 142_827
    assert max(token for r in requests for token in r.prompt) < KNOWN_CONFIGS["Qwen3-0.6B"].vocab_size


def test_bytes_of_a_step_by_hand(bench):
    small, large = KNOWN_CONFIGS["Qwen3-0.6B"], KNOWN_CONFIGS["Qwen3-8B"]
    a_layer = 1024 * 128 * (2 * 16 + 2 * 8) + 3 * 1024 * 3072
    assert bench.main.step_bytes(small, 0) == 2 * (28 * a_layer + 151_936 * 1024)
    assert bench.main.step_bytes(small, 10) - bench.main.step_bytes(small, 0) == 10 * 112 * 1024
    assert bench.main.step_bytes(large, 1) - bench.main.step_bytes(large, 0) == 144 * 1024
    # Two texts: one looks back twice, at 4 and 5 keys; the other ends with what its prompt gave.
    requests = [bench.ours.Request((1, 2, 3), 3), bench.ours.Request((1, 2), 1)]
    want = 7 * bench.main.step_bytes(small, 0) + 9 * 112 * 1024
    assert bench.main.work_bytes(small, requests, 7) == want


def test_a_dry_run_walks_the_whole_path(bench, tmp_path):
    pytest.importorskip("transformers")
    record = run(bench, tmp_path, "--ways", *bench.main.WAYS[1:], bench.main.COMPILED)
    assert not record.untimed
    assert [m.backend for m in record.select(operator="decode_step")] == ["minillm"] * 2
    served = {m.backend: m for m in record.select(operator="serve")}
    assert set(served) == {"minillm", *bench.main.PEERS}
    ours, best = served["minillm"], min((served[name] for name in bench.main.PEERS), key=lambda m: m.p50)
    assert ours.best_torch == best.backend and ours.ratio_to_torch == pytest.approx(best.p50 / ours.p50)
    assert ours.options["behind the best"] < 0.5 and 0 < ours.options["outside the pass"] < 1
    assert 0 < record.fraction_of_copy(ours) < 1 and served["generate"].ratio_to_torch is None


def test_what_fails_is_named_and_the_rest_goes_on(bench, tmp_path, monkeypatch):
    def refuse(model):
        raise ImportError("no transformers here")

    monkeypatch.setattr(bench.theirs, "as_transformers", refuse)
    record = run(bench, tmp_path, "--ways", "generate", "minillm")
    (missing,) = record.untimed
    assert (missing.operator, missing.backend) == ("serve", "generate")
    assert missing.reason == "ImportError: no transformers here"
    assert len(record.select(backend="minillm")) == 3


def test_wrong_texts_are_not_timed(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(bench.ours, "behind", lambda *_: 4.2)
    record = run(bench, tmp_path, "--ways", "minillm")
    assert not record.select(operator="serve") and "4.2 deviations behind" in record.untimed[0].reason


def test_when_the_time_is_up_nothing_is_begun(bench, tmp_path, capsys):
    assert run(bench, tmp_path, "--minutes", "0") is None
    assert "0 rows measured, 1 left out" in capsys.readouterr().out


def test_half_a_text_is_no_row(bench):
    """An engine that was stopped in the middle has written too little, and says so."""
    model = bench.ours.random_model(bench.main.DRY, torch.device("cpu"))
    size = bench.main._size(SimpleNamespace(dry=True))
    with pytest.raises(bench.main.OutOfTime, match="0 tokens where"):
        bench.main._served("toy", "minillm", model, size, ends=0.0)


def test_a_rehearsal_leaves_no_record_among_the_others(bench, monkeypatch):
    saved = []
    monkeypatch.setattr(bench.main, "write_record", lambda *given: saved.append(given))
    bench.main.main(["--dry", "--model", "Qwen3-0.6B", "--ways", "minillm"])
    assert not saved


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so(bench, capsys):
    bench.main.main([])
    assert "no GPU" in capsys.readouterr().out


def test_the_peer_is_the_same_model(bench):
    """Same scores from the same memory, and the same greedy texts from all ways."""
    pytest.importorskip("transformers")
    for tied in (True, False):
        config = bench.main.DRY.with_(dtype="float32", tie_word_embeddings=tied)
        model = bench.ours.random_model(config, torch.device("cpu"))
        twin = bench.theirs.as_transformers(model)
        ids = torch.arange(20)[None] * 7 % 300
        assert torch.allclose(twin(ids).logits, model(ids), atol=1e-5)
        there = {p.untyped_storage().data_ptr() for p in model.parameters()}
        assert {p.untyped_storage().data_ptr() for p in twin.parameters()} == there
    requests = bench.main._size(SimpleNamespace(dry=True)).requests
    texts = {}
    for way in ("minillm", *bench.main.PEERS):
        ways = bench.ours.ways_of_ours if way == "minillm" else bench.theirs.ways_of_transformers
        with ways(model, requests, way) as write:
            texts[way] = write(requests, float("inf")).texts
    assert all(text == texts["minillm"] for text in texts.values()), texts


def test_a_token_that_is_not_the_best_is_seen(bench):
    model = bench.ours.random_model(bench.main.DRY.with_(dtype="float32"), torch.device("cpu"))
    request = bench.ours.Request((5, 6, 7), 6)
    with bench.ours.ways_of_ours(model, [request], "minillm") as write:
        text = write([request], float("inf")).texts[0]
    assert bench.ours.behind(model, request, text) < 1e-3
    text[3] = (text[3] + 1) % 300
    assert bench.ours.behind(model, request, text) > bench.main.WRONG
