"""A run that practises copying starts able to copy, practises on its own text alone, and is still a function of its seed."""

import dataclasses

import pytest
import torch
import torch.nn.functional as F

from minillm.model import train as training
from minillm.model.batches import Batches
from minillm.model.corpus import Corpus, SourceFile
from minillm.model.decoder import Decoder, attention_maps
from minillm.model.initial import initialise, wire_copying
from minillm.model.practice import drill, pieces_of_names, rename
from minillm.model.recipe import TINY, Recipe
from minillm.model.tokenizer import train_tokenizer

SMALL = Recipe(
    TINY.with_(vocab_size=300, hidden_size=32, intermediate_size=48, num_layers=2, num_heads=4, num_kv_heads=2, head_dim=8),
    tokens=12 * 128,
    context=16,
    long_context=32,
    batch_tokens=128,
    curve_points=1,
    drills=0.2,
    drilled_tokens=2 * 128,
    renamed=0.3,
)  # fmt: skip


@pytest.fixture(scope="module")
def wired():
    model = Decoder(TINY)
    initialise(model, 0)
    wire_copying(model, 0)
    return model


@pytest.fixture
def twice():
    ids = torch.randint(1, 2048, (1, 100), generator=torch.Generator().manual_seed(3))
    return ids.repeat(1, 2)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def make_corpus(held_out="x = 1\n" * 40):
    body = "".join(f"def read_{j}(path):\n    return path + {j}\n" for j in range(200))
    files = [SourceFile(f"mod{i}.py", body.replace("path", f"path{i}"), False) for i in range(4)]
    return Corpus((*files, SourceFile("held.py", held_out, True)), "3.11")


def test_wired_heads_look_where_they_should(wired, twice):
    maps = attention_maps(wired, twice)  # (N, B, H, L, L)
    for head, distance in ((0, 1), (1, 2)):
        assert maps[0, 0, head].diagonal(-distance).mean() > 0.8
    # In the second reading, the token after where this one stood before: 99 back.
    assert maps[1, 0, :4].diagonal(-99, dim1=1, dim2=2)[:, 2:].mean() > 0.4
    assert maps[1, 0, 4:].diagonal(-99, dim1=1, dim2=2)[:, 2:].mean() < 0.05


def test_an_untrained_wired_model_already_expects_what_it_read_before(wired, twice):
    with torch.no_grad():
        losses = F.cross_entropy(wired(twice[:, :-1])[0], twice[0, 1:], reduction="none")
    assert losses[101:].mean() < losses[:99].mean() - 0.8


def test_a_drill_repeats_and_shares_no_meaning_with_its_text():
    window = torch.arange(65)
    got = [drill(window, 300, seeded(s)) for s in range(20)]
    for row in got:
        period = next(p for p in range(1, 65) if torch.equal(row[p:], row[:-p]))
        assert len(row) == 65 and 16 <= period < 32 and len(set(row[:period].tolist())) == period
    assert len({tuple(row.tolist()) for row in got}) == 20
    assert torch.equal(drill(window, 300, seeded(7)), got[7])


def test_renaming_is_one_to_one_and_stays_within_its_kind():
    kinds = [torch.arange(10, 40), torch.arange(50, 90)]
    window = torch.randint(100, (400,), generator=seeded())
    got = rename(window, kinds, 100, seeded(1))
    pairs = set(zip(window.tolist(), got.tolist(), strict=True))
    assert len(pairs) == len({old for old, _ in pairs}) == len({new for _, new in pairs})
    for old, new in pairs:
        kind = next((k for k in kinds if old in k), None)
        assert new in kind if kind is not None else new == old
    assert sum(old != new for old, new in pairs) > 50


def test_pieces_of_names_leave_out_signs_and_the_commonest():
    text = "def load_everything(self):\n    return self.everything + 17\n" * 50 + "rarely = other\n" * 3
    tokenizer = train_tokenizer([text], 320)
    stream = torch.tensor(tokenizer.encode(text))
    beginnings, parts = pieces_of_names(tokenizer, stream, keep=12)
    texts = [tokenizer.token_text(int(i)) for i in beginnings]
    assert texts and all(t[0] == " " and t[1:].replace("_", "a").isalpha() for t in texts)
    assert all(tokenizer.token_text(int(i)).replace("_", "a").isalpha() for i in parts)
    commonest = torch.bincount(stream, minlength=320).argsort(descending=True, stable=True)[:12]
    assert not set(commonest.tolist()) & set(beginnings.tolist() + parts.tolist())


def test_practice_is_a_function_of_seed_and_step():
    trainer = training.Trainer(SMALL, make_corpus(), 0)
    forwards = [trainer.batches[step][0] for step in range(12)]
    backwards = [trainer.batches[step][0] for step in reversed(range(12))]
    assert all(torch.equal(a, b) for a, b in zip(forwards, reversed(backwards), strict=True))
    other = training.Trainer(SMALL, make_corpus(), 1)
    assert not any(torch.equal(other.batches[step][0], forwards[step]) for step in range(12))


def test_windows_are_practised_as_often_as_the_recipe_says():
    stream = torch.randint(1, 300, (40_000,), generator=seeded())
    plain = Batches(stream, dataclasses.replace(SMALL, tokens=200 * 128, drills=0, renamed=0), 0)
    names = [torch.arange(1, 300)]

    def changed(**shares):
        practised = Batches(stream, dataclasses.replace(plain.recipe, **shares), 0, names)
        rows = [(~(practised[s][0] == plain[s][0]).all(1)).float().mean().item() for s in range(100)]
        return sum(rows) / len(rows)

    assert changed(renamed=0.3) == pytest.approx(0.3, abs=0.06)
    assert changed(drills=0.1, renamed=0.3, drilled_tokens=0) == pytest.approx(0.4, abs=0.06)
    assert changed(drills=0.1, drilled_tokens=100 * 128) == pytest.approx(0.5, abs=0.06)


def test_a_practised_run_resumes_to_the_same_weights(tmp_path):
    whole, parts = (training.Trainer(SMALL, make_corpus(), 0) for _ in range(2))
    training.train(whole, tmp_path / "whole")
    for _ in range(5):
        parts.advance()
    parts.save_state(tmp_path / "parts" / "state.pt")
    resumed = training.Trainer(SMALL, make_corpus(), 0)
    training.train(resumed, tmp_path / "parts")
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), resumed.model.parameters(), strict=True))


def test_held_out_text_changes_nothing_that_is_learned():
    runs = [
        training.Trainer(SMALL, make_corpus(text), 0) for text in ("x = 1\n" * 40, "class Other:\n    y = 2\n" * 40)
    ]
    assert runs[0].held_out != runs[1].held_out
    for _ in range(3):
        first, second = (run.advance() for run in runs)
        assert first == second
    assert all(torch.equal(a, b) for a, b in zip(runs[0].model.parameters(), runs[1].model.parameters(), strict=True))
