"""The head-grouping map: the grouping is the operator's own, and the savings are the formulas'."""

import pytest
import torch

import minillm as ml
from minillm.errors import InvalidValue
from minillm.lab import widgets
from minillm.lab.widgets.head_grouping import explore_head_groups
from minillm.measure import cost


@pytest.mark.parametrize("num_kv_heads", [1, 2, 4, 8])
def test_the_drawn_map_is_the_one_attention_uses(num_kv_heads):
    reads = explore_head_groups(8).data(num_kv_heads=num_kv_heads).reads
    q = torch.ones(1, 1, 8, 4)
    k = torch.ones(1, 1, num_kv_heads, 4)
    v = torch.arange(num_kv_heads, dtype=torch.float32).view(1, 1, -1, 1).expand(1, 1, num_kv_heads, 4)
    out = ml.attention(q, k, v, backend="naive")  # one key: each query head returns the value of the head it reads
    assert reads == out[0, 0, :, 0].int().tolist()


@pytest.mark.parametrize(("num_kv_heads", "kind"), [(1, "MQA"), (2, "GQA"), (8, "MHA")])
def test_kinds_and_bytes(num_kv_heads, kind):
    data = explore_head_groups(8, 64).data(num_kv_heads=num_kv_heads)
    assert data.kind == kind
    assert data.kv_bytes == cost.kv_cache_bytes(1, 1, 1, num_kv_heads, 64)


def test_projection_parameters_are_those_of_the_layer():
    from minillm.model import ModelConfig
    from minillm.model.layers import Attention

    of_the_layer = sum(p.numel() for p in Attention(ModelConfig(64, 96, 128, 1, 6, 3, 16), 0).parameters())
    queries_and_output = 2 * 96 * 6 * 16
    assert explore_head_groups(6, 16, 96).data(num_kv_heads=3).kv_parameters == of_the_layer - queries_and_output


def test_the_slider_offers_the_divisors_and_moves_everything():
    panel = widgets.head_groups(12, 64)
    assert [value for _, value in panel.control["num_kv_heads"].options] == [1, 2, 3, 4, 6, 12]
    pictures = set()
    for num_kv_heads in (1, 2, 3, 4, 6, 12):
        panel.control["num_kv_heads"].value = num_kv_heads
        assert panel.data.num_kv_heads == num_kv_heads
        assert f"{num_kv_heads} key/value head" in panel.readout.value
        pictures.add(bytes(panel.image.value))
    assert len(pictures) == 6


def test_the_text_states_map_bytes_and_parameters():
    assert explore_head_groups(8).text(num_kv_heads=2).splitlines() == [
        "GQA: 8 query heads (H), 2 key/value heads (G), H / G = 4",
        "kv0 <- q0..q3  kv1 <- q4..q7",
        "KV cache, a token and layer: 512 bytes, 25% of MHA's 2048",
        "key and value projections, a layer: 131 072 parameters, 25% of MHA's 524 288",
    ]


@pytest.mark.parametrize("num_heads", [1, 7, 128])
def test_extremes_draw(num_heads):
    assert explore_head_groups(num_heads).still(num_kv_heads=1).png


@pytest.mark.parametrize("bad", [{"num_heads": 0}, {"head_dim": -1}, {"num_heads": 2.5}, {"hidden_size": 0}])
def test_bad_sizes_are_refused(bad):
    with pytest.raises(InvalidValue, match="must be a whole number of at least 1"):
        widgets.head_groups(**bad)


def test_a_head_count_that_does_not_divide_is_refused_with_those_that_do():
    with pytest.raises(InvalidValue, match="must be one of 1, 2, 4, 8; got 3"):
        explore_head_groups(8).text(num_kv_heads=3)
