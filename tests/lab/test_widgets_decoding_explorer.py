"""The decoding explorer: the tree is the search's own, its texts and sums are the model's, and every control moves it."""

import pytest
import torch

import minillm as ml
from minillm.decoding import BeamRules, BeamState, advance, best_continuations, search_beams
from minillm.errors import InvalidValue
from minillm.lab import widgets
from minillm.lab.widgets.beam_story import grow
from minillm.lab.widgets.decoding_paths import MAX_STEPS, explore_decoding


@pytest.fixture(scope="module")
def tiny():
    return ml.load_model("tiny"), ml.load_tokenizer("tiny")


def toy(texts):
    generator = torch.Generator()
    rows = [torch.randn(7, generator=generator.manual_seed(hash(text) % 2**31)) for text in texts]
    return torch.stack(rows) * 2


RULES = [BeamRules(W, length, 1.0, stops) for W in (1, 2, 4) for length in (1, 3, 5) for stops in ((), (0,), (1, 2, 3))]


@pytest.mark.parametrize("rules", RULES, ids=str)
def test_the_tree_is_the_search_written_down(rules):
    tree = grow(toy, rules)
    assert list(tree.hypotheses) == search_beams(toy, rules)
    state = BeamState()
    for number, layer in enumerate(tree.layers):
        step = advance(state, best_continuations(toy([beam.token_ids for beam in state.live]), rules), rules)
        texts = {fate: [] for fate in ("live", "finished", "dropped")}
        for place, node in enumerate(layer):
            texts[node.fate].append(tree.token_ids(number, place))
            if number:
                assert tree.layers[number - 1][node.parent].fate == "live"
        if not step.state.is_done:
            assert texts["live"] == [beam.token_ids for beam in step.state.live]
        new = [one.token_ids for one in step.state.finished if len(one.token_ids) == number + 1]
        assert set(new) <= set(texts["finished"])
        assert len(texts["dropped"]) <= rules.width
        assert [node.logprob for node in layer] == sorted((node.logprob for node in layer), reverse=True)
        state = step.state
    assert state.is_done


def test_sums_are_the_models_log_probabilities(tiny):
    model, tokenizer = tiny
    data = explore_decoding(model, tokenizer).data()
    prompt = tokenizer.encode(data.next_token.prompt.replace("\\n", "\n"))
    layer = len(data.tree.layers) - 1
    for place, node in enumerate(data.tree.layers[layer]):
        ids = data.tree.token_ids(layer, place)
        logprobs = model(torch.tensor([[*prompt, *ids]]))[0].double().log_softmax(-1)
        total = sum(float(logprobs[len(prompt) - 1 + i, token]) for i, token in enumerate(ids))
        assert total == pytest.approx(node.logprob, abs=1e-4)
        assert data.text(layer, place) == tokenizer.decode(list(ids))


def test_the_default_view_in_words(tiny):
    text = explore_decoding(*tiny).text(step=4).splitlines()
    assert text[0] == "sampling:" and text[2].lstrip().endswith("bits") and "of 2048 tokens kept" in text[2]
    assert text[9].startswith("beam search, width 3: step 4 of ")
    fates = [line.split()[0] for line in text[10:]]
    assert fates.count("live") == 3 and set(fates) == {"live", "finished", "dropped"}
    whole = explore_decoding(*tiny).text()
    assert "best first, by log-probability / tokens^1:" in whole


def test_every_control_moves_the_picture_and_the_words(tiny):
    panel = widgets.decoding_explorer(*tiny)
    changes = {"temperature": 0.5, "top_k": 4, "top_p": 0.3, "min_p": 0.9, "width": 2, "step": 2, "length_penalty": 0.0}
    for name, value in changes.items():
        before = bytes(panel.image.value), panel.readout.value
        panel.control[name].value = value
        assert bytes(panel.image.value) != before[0] and panel.readout.value != before[1], name
        panel.control[name].value = explore_decoding(*tiny).state()[name]
    before = bytes(panel.image.value)
    panel.control["prompt"].value = "import os\\n\\n\\ndef read(path):\\n    if not"
    assert bytes(panel.image.value) != before and "isinstance" in panel.readout.value


@pytest.mark.parametrize("state", [{"step": 1, "width": 1}, {"step": MAX_STEPS, "width": 5}, {"temperature": 0.0}])
def test_the_extremes_draw(tiny, state):
    assert explore_decoding(*tiny).still(**state).png


@pytest.mark.parametrize("prompt", ["", "x = 1\n" * 800])
def test_prompts_that_cannot_be_read_are_refused(tiny, prompt):
    with pytest.raises(InvalidValue, match="a prompt has 1 to 1016 tokens; got"):
        explore_decoding(*tiny, prompt).data()
