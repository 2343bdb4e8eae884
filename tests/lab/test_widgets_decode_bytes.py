"""The bytes a step fetches against arithmetic done by hand and against the kernels' own formulas."""

import pytest

from minillm.errors import InvalidValue
from minillm.lab import widgets
from minillm.lab.widgets.fetched_bytes import explore_decode_bytes
from minillm.measure import cost
from minillm.model import KNOWN_CONFIGS


@pytest.fixture(scope="module")
def explorer():
    return explore_decode_bytes()


def test_the_default_by_hand(explorer):
    mha, gqa, mqa = explorer.data().sharings
    head = 2 * 32 * 8192 * 128 * 2 * 32  # keys and values, texts, tokens, width, bytes, layers: of one head
    assert [s.cache_bytes for s in (mha, gqa, mqa)] == [32 * head, 8 * head, head]
    assert {s.per_head for s in (mha, gqa, mqa)} == {32 * head}
    assert [s.packed for s in (mha, gqa, mqa)] == [32 * head, 8 * head, head]
    assert [(s.useful_rows, s.rows) for s in (mha, gqa, mqa)] == [(1, 16), (4, 16), (32, 32)]


@pytest.mark.parametrize("model", ["Llama-3.1-8B", "Qwen3-0.6B", "Qwen2.5-7B", "Mistral-7B-v0.1"])
def test_keys_are_what_the_kernels_formulas_count(explorer, model):
    c = KNOWN_CONFIGS[model]
    data = explorer.data(model=model, batch=4, length=16384)
    for s in data.sharings:
        packed = per_head = 0
        for layer in range(c.num_layers):
            texts = [min(16384, c.window_of(layer) or 16384)] * 4
            one = cost.flash_decode_cost(texts, c.num_heads, s.num_kv_heads, c.head_dim, block_s=64)
            own = cost.per_head_decode_cost(texts, c.num_heads, c.head_dim, block_l=16, block_s=64)
            packed += one.bytes.loaded - 4 * c.num_heads * c.head_dim * 2 - 4 * one.programs
            per_head += own.bytes.loaded - 4 * c.num_heads * c.head_dim * 2
        assert (s.packed, s.per_head) == (packed, per_head)


def test_a_sliding_window_bounds_what_is_fetched(explorer):
    short, long = (explorer.data(model="Mistral-7B-v0.1", length=length).sharings[0] for length in (4096, 131072))
    assert short.per_head == long.per_head


def test_every_control_moves_the_picture_and_the_words():
    panel = widgets.decode_bytes()
    moves = {"model": "Qwen3-8B", "gpu": "L4", "batch": 4, "length": 1024}
    assert set(moves) == set(panel.control)
    for name, value in moves.items():
        before = bytes(panel.image.value), panel.readout.value
        panel.control[name].value = value
        assert bytes(panel.image.value) != before[0] and panel.readout.value != before[1], name


def test_the_extremes_draw(explorer):
    for state in ({"batch": 1, "length": 256}, {"model": "Llama-3.1-405B", "batch": 256, "length": 131072}):
        assert explorer.still(**state).png


def test_unknown_names_are_refused_with_the_nearest():
    with pytest.raises(InvalidValue, match="did you mean"):
        widgets.decode_bytes(model="Llama-3.1-9B")
    with pytest.raises(InvalidValue, match="unknown GPU"):
        widgets.decode_bytes(gpu="H100")
