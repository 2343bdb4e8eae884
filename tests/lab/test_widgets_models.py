"""The two widgets that look into a model: next-token bars and attention maps, on a small decoder of random weights."""

import math
import time
from dataclasses import replace

import pytest
import torch

from minillm.errors import InvalidValue
from minillm.lab import figures, widgets
from minillm.lab.widgets.attention_maps import MAX_TOKENS, explore_attention_map
from minillm.lab.widgets.next_tokens import NUM_SHOWN, explore_next_token, rank_tokens
from minillm.model import Decoder, ModelConfig, attention_maps

PIECES = [
    "def",
    " area",
    "(",
    "width",
    "):",
    "\n    ",
    "return",
    " $x_{",
    " a_very_long_identifier_name",
    "\t",
    "\x00",
    "\ufffd",
]


class Pieces:
    """A tokenizer of a few pieces, one a character; id 5 is a line break, id 7 would break a formula."""

    vocab_size = 64

    def encode(self, text):
        return [ord(letter) % len(PIECES) for letter in text]

    def token_text(self, token):
        return PIECES[token] if token < len(PIECES) else f"word{token}"


class Counted:
    """A model that counts how often it is run."""

    def __init__(self, model):
        self.model, self.calls = model, 0

    def __call__(self, token_ids):
        self.calls += 1
        return self.model(token_ids)


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    decoder = Decoder(ModelConfig(64, 32, 64, 2, 4, 2, 8))
    with torch.no_grad():
        decoder.embed_tokens.weight.mul_(0.2)  # or every token would be sure that it comes next itself
    return decoder


# Probabilities 1/2, 1/4, 1/8, 1/8: every total can be worked out by hand.
HALVES = torch.tensor([0.5, 0.25, 0.125, 0.125]).log()


def ranked(**state):
    return rank_tokens(
        HALVES, PIECES.__getitem__, **{"prompt": "p", "temperature": 1.0, "top_k": 0, "top_p": 1.0} | state
    )


@pytest.mark.parametrize(
    ("state", "num_kept", "mass", "entropy", "after"),
    [
        ({}, 4, 1.0, 1.75, (0.5, 0.25, 0.125, 0.125)),
        ({"top_k": 2}, 2, 0.75, math.log2(3) - 2 / 3, (2 / 3, 1 / 3, 0, 0)),
        ({"top_p": 0.5}, 1, 0.5, 0.0, (1, 0, 0, 0)),
        ({"top_p": 0.85}, 3, 0.875, None, (4 / 7, 2 / 7, 1 / 7, 0)),
        ({"temperature": 0.0}, 1, 1.0, 0.0, (1, 0, 0, 0)),
        ({"temperature": 0.5}, 4, 1.0, None, (8 / 11, 2 / 11, 0.5 / 11, 0.5 / 11)),
    ],
)
def test_totals_by_hand(state, num_kept, mass, entropy, after):
    data = ranked(**state)
    assert data.num_kept == num_kept
    assert data.mass_kept == pytest.approx(mass, abs=1e-6)
    assert data.after == pytest.approx(after, abs=1e-6)
    if entropy is not None:
        assert data.entropy_bits == pytest.approx(entropy, abs=1e-6)


def test_cut_tokens_are_hatched_and_named_and_kept_ones_are_not():
    from minillm.lab.widgets.next_tokens import draw_next_token

    patches = draw_next_token(ranked(top_k=2)).axes[0].patches
    assert [bool(bar.get_hatch()) for bar in patches] == [False, False, True, True]
    assert [round(bar.get_width(), 1) for bar in patches] == [66.7, 33.3, 12.5, 12.5]
    explorer = explore_next_token(lambda ids: HALVES.repeat(1, 1, 1), Pieces(), "x")
    assert "cut (was 12.5%)" in explorer.text(top_k=2) and "cut" not in explorer.text()


def test_tokens_are_shown_literally(model):
    text = explore_next_token(lambda ids: torch.arange(12.0).repeat(1, 1, 1), Pieces(), "x").text()
    for shown in ("⏎␣␣␣␣", "␣$x_{", "␣a_very_long_iden…", "⇥", "\\x00"):
        assert shown in text


def test_the_model_runs_once_for_a_prompt_and_again_for_another(model):
    counted = Counted(model)
    panel = widgets.next_token(counted, Pieces(), "abc")
    panel.control["temperature"].value = 0.5
    panel.control["top_k"].value = 3
    assert counted.calls == 1 and panel.data.num_kept == 3
    before = bytes(panel.image.value)
    panel.control["prompt"].value = "cab!"
    assert counted.calls == 2 and bytes(panel.image.value) != before


def test_the_bars_are_the_models_own_distribution(model):
    data = explore_next_token(model, Pieces(), "abc").data()
    with torch.no_grad():
        best = model(torch.tensor([Pieces().encode("abc")]))[0, -1].softmax(-1).sort(descending=True).values
    assert data.before == pytest.approx(best[:NUM_SHOWN].tolist(), rel=1e-5, abs=0)
    assert data.before[0] < 0.5
    assert data.vocab_size == 64


def test_an_empty_prompt_is_refused_at_once_and_shown_when_typed(model):
    with pytest.raises(InvalidValue, match="at least one token"):
        widgets.next_token(model, Pieces(), "")
    panel = widgets.next_token(model, Pieces(), "abc")
    panel.control["prompt"].value = ""
    assert "a prompt needs at least one token" in panel.readout.value
    panel.control["prompt"].value = "ok"
    assert "tokens kept" in panel.readout.value


def test_maps_are_the_models_and_are_computed_once(model, monkeypatch):
    import minillm.model

    calls = []
    monkeypatch.setattr(minillm.model, "attention_maps", lambda m, ids: calls.append(1) or attention_maps(m, ids))
    panel = widgets.attention_map(model, Pieces(), "abcdef")
    panel.control["layer"].value = 1
    panel.control["head"].value = 3
    want = attention_maps(model, torch.tensor([Pieces().encode("abcdef")]))[1, 0, 3]
    assert calls == [1]
    assert torch.equal(torch.tensor(panel.data.probabilities), want)
    assert "Layer 1" not in panel.readout.value and "layer 1, head 3" in panel.readout.value


def test_the_words_name_where_the_last_token_looks(model):
    data = explore_attention_map(model, Pieces(), "abcdef").data(layer=1, head=2)
    position, share = data.favourites[0]
    assert share == max(data.last_row) and data.last_row[position] == share
    p = torch.tensor(data.last_row, dtype=torch.float64)
    assert data.entropy_bits == pytest.approx(float(-(p * p.log2()).sum()), abs=1e-5)
    text = explore_attention_map(model, Pieces(), "abcdef").text(layer=1, head=2)
    assert f"looks most at {data.tokens[position]} at {position} ({share:.0%})" in text


def test_one_token_looks_at_itself(model):
    data = explore_attention_map(model, Pieces(), "a").data()
    assert data.probabilities == [[1.0]] and data.entropy_bits == 0.0
    assert explore_attention_map(model, Pieces(), "a").still().png


@pytest.mark.parametrize("text", ["", "a" * (MAX_TOKENS + 1)])
def test_a_text_no_map_could_label_is_refused_with_its_length(model, text):
    with pytest.raises(InvalidValue, match=f"1 to {MAX_TOKENS} tokens; got {len(text)};"):
        widgets.attention_map(model, Pieces(), text)


def slowest_steps(model):
    yield explore_next_token(model, Pieces(), "abc"), {"top_k": 4}
    yield explore_attention_map(model, Pieces(), "a" * MAX_TOKENS), {"layer": 1}
    yield widgets.head_groups(64).explorer, {"num_kv_heads": 8}
    yield widgets.kv_calculator().explorer, {"batch": 100}


def in_blank_figures(explorer, state):
    """What a move costs, as a multiple of a figure with nothing in it: fast and slow machines give the same number."""
    moves, blanks = [], []
    for _ in range(5):
        start = time.process_time()  # our own time, not that of whoever else uses the machine
        figures.picture(figures.figure("nothing", width=7.0, height=5.8), "nothing")
        middle = time.process_time()
        explorer.still(**state)
        blanks.append(middle - start)
        moves.append(time.process_time() - middle)
    return min(moves) / min(blanks)


def test_a_move_costs_less_than_five_blank_figures(model):
    """No slider may lag further: where a blank figure takes 0.06 s, five of them are a third of a second."""
    for explorer, state in slowest_steps(model):
        assert in_blank_figures(explorer, state) < 5, explorer.title


def test_a_move_that_draws_its_map_twice_would_be_seen(model):
    explorer = explore_attention_map(model, Pieces(), "a" * MAX_TOKENS)
    twice = replace(explorer, compute=lambda state: [explorer.still(**state), explorer.compute(state)][1])
    assert in_blank_figures(twice, {"layer": 1}) > 5
