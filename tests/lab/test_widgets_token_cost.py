"""The token-cost widget against counters on a small model, against arithmetic done by hand, and at its crossings."""

import pytest
import torch

from minillm.errors import InvalidValue
from minillm.lab import widgets
from minillm.lab.widgets.token_cost import GPUS, LENGTHS, StepCost, TokenCost, explore_token_cost
from minillm.measure import count
from minillm.measure.hardware import KNOWN_HARDWARE
from minillm.model import KNOWN_CONFIGS, Decoder, ModelConfig

H100 = KNOWN_HARDWARE["H100-SXM"]


@pytest.fixture(scope="module")
def explorer():
    return explore_token_cost()


def test_flops_with_a_cache_are_those_of_a_running_model():
    config = ModelConfig(50, 32, 48, 3, 4, 2, 8)
    model, ids = Decoder(config), torch.arange(21)[None]
    cache = model.new_cache(1, 32)
    with torch.no_grad():
        model(ids[:, :20], cache)
        with count() as counted:
            model(ids[:, 20:], cache)
    assert TokenCost("mine", config, H100, 1, 21).with_cache(21).flops == counted.flops


def test_flops_without_a_cache_are_those_of_a_prefill_that_scores_one_row_and_skips_hidden_pairs():
    config = ModelConfig(50, 32, 48, 3, 4, 2, 8)
    model, ids = Decoder(config), torch.arange(20)[None]
    with torch.no_grad(), count() as counted:
        model.logits(model.hidden_states(ids)[:, -1:])
    hidden_pairs = 20 * 19 // 2
    skipped = 4 * config.num_heads * config.head_dim * hidden_pairs * config.num_layers
    assert TokenCost("mine", config, H100, 1, 20).without_cache(20).flops == counted.flops - skipped


# Llama-3.1-8B by hand: 32 x (2 x 4096 x 128 x 40 + 3 x 4096 x 14336) + 128256 x 4096 weights that multiply.
LLAMA_MATRICES = 7_504_658_432


def test_bytes_by_hand(explorer):
    data = explorer.data(batch=4, length=1024)
    assert data.weight_bytes == 2 * LLAMA_MATRICES
    assert data.with_cache(1024).cache_bytes == 4 * 1024 * 131_072
    assert data.without_cache(1024).cache_bytes == 0


def test_the_least_time_is_the_slower_of_memory_and_multipliers():
    assert StepCost(1, 2000, 3000).seconds(H100) == pytest.approx(5000 / H100.bandwidth_bytes_per_s)
    assert StepCost(10**15, 2000, 3000).seconds(H100) == pytest.approx(10**15 / H100.rate("bfloat16"))


def test_a_window_caps_what_is_fetched_and_multiplied(explorer):
    data = explorer.data(model="Mistral-7B-v0.1", length=32768)
    assert data.with_cache(32768).cache_bytes == data.with_cache(4096).cache_bytes
    assert data.with_cache(32768).flops == data.with_cache(4096).flops
    assert data.with_cache(4095).cache_bytes < data.with_cache(4096).cache_bytes


@pytest.mark.parametrize("model", ["Llama-2-7B", "Llama-3.1-8B", "Qwen3-0.6B", "Mistral-7B-v0.1"])
@pytest.mark.parametrize("batch", [1, 16])
def test_the_crossings_hold_from_there_on_and_not_before(explorer, model, batch):
    data = explorer.data(model=model, batch=batch)
    pays, outweighs = data.pays_from, data.outweighs_from

    def saves(length):
        return data.with_cache(length).seconds(H100) < data.without_cache(length).seconds(H100)

    assert saves(pays) and not saves(pays - 1)
    assert all(saves(length) for length in data.lengths if length > pays)
    if outweighs is None:
        assert data.with_cache(data.config.max_position_embeddings).cache_bytes <= data.weight_bytes
    else:
        per_step = [data.with_cache(length).cache_bytes for length in (outweighs - 1, outweighs)]
        assert per_step[0] <= data.weight_bytes < per_step[1]


def test_the_text_is_exact(explorer):
    assert explorer.text().splitlines() == [
        "Llama-3.1-8B, 1 text of 8192 tokens, bfloat16, H100-SXM",
        "read all again: 132T FLOPs, 14 GiB of weights; at least 133 ms",
        "with a cache:   19.3B FLOPs, 14 GiB of weights and 1 GiB of cache; at least 4.8 ms",
        "FLOPs divided by 6835, least time by 27.8",
        "on paper the cache saves time from 317 tokens on",
        "a step reads more cache than weights from 114 513 tokens on",
    ]


@pytest.mark.parametrize(
    ("state", "verdict"),
    [
        ({"model": "Llama-2-7B", "length": 131072}, "1 text of 4096 tokens"),
        ({"model": "Llama-2-7B"}, "more cache than weights from no length up to the model's 4096 tokens"),
        ({"model": "Llama-3.1-405B"}, "weights and cache do not fit on one H100-SXM"),
        ({"batch": 256}, "256 texts"),
    ],
)
def test_verdicts_and_warnings(explorer, state, verdict):
    assert verdict in explorer.text(**state)


def test_every_control_moves_the_picture_and_the_words():
    panel = widgets.next_token_cost()
    moves = {"model": "Qwen3-8B", "gpu": "L4", "batch": 16, "length": 256}
    assert set(moves) == set(panel.control)
    for name, value in moves.items():
        before = bytes(panel.image.value), panel.readout.value
        panel.control[name].value = value
        assert bytes(panel.image.value) != before[0] and panel.readout.value != before[1], name


def test_the_extremes_draw(explorer):
    assert explorer.still(model="Llama-3.1-405B", gpu=GPUS[0], batch=256, length=LENGTHS[-1]).png
    assert explorer.still(model="Llama-2-7B", length=LENGTHS[0]).png


@pytest.mark.parametrize(
    ("names", "message"),
    [({"model": "Llama-3.1-9B"}, "did you mean 'Llama-3.1-8B'"), ({"gpu": "H100"}, "unknown GPU 'H100'")],
)
def test_unknown_names_are_refused_with_the_table(names, message):
    with pytest.raises(InvalidValue, match=message):
        widgets.next_token_cost(**names)


def test_every_known_model_has_curves(explorer):
    for model in KNOWN_CONFIGS:
        data = explorer.data(model=model)
        assert len(data.lengths) >= 8 and data.pays_from
