"""The online-softmax stepper: its arithmetic is the tiled form's own, and every tile size ends at the same answer."""

import math

import pytest
import torch

from minillm.attention.tiled import tiled_attention
from minillm.errors import InvalidType, InvalidValue
from minillm.lab import widgets
from minillm.lab.widgets.softmax_steps import ROWS, explore_online_softmax


def as_attention(scores, values):
    """q, k, v for which attention's scores are this row: q holds the row, the keys are the unit vectors."""
    finite = torch.tensor([score if score > -math.inf else 0.0 for score in scores], dtype=torch.float64)
    q, k = finite.view(1, 1, 1, -1), torch.eye(len(scores), dtype=torch.float64).view(1, len(scores), 1, -1)
    v = torch.zeros(1, len(scores), 1, len(scores), dtype=torch.float64)
    v[0, :, 0, : len(values[0])] = torch.tensor(values, dtype=torch.float64)
    return q, k, v


@pytest.mark.parametrize("row", [name for name in ROWS if name != "masked start"])
@pytest.mark.parametrize("block", [1, 3, 4, 5, 12])
def test_every_step_is_what_tiled_attention_records(row, block):
    data = explore_online_softmax().data(row=row, block=block, step=12)
    visits = []
    out = tiled_attention(
        *as_attention(data.scores, data.values), scale=1.0, block_l=1, block_s=block, record=visits.append
    )
    for step, visit in zip(data.steps, visits, strict=True):
        assert (step.m, step.l) == pytest.approx((visit.m.item(), visit.l.item()), rel=1e-9)
        assert math.hypot(*step.acc) == pytest.approx(visit.acc_norm.item(), rel=1e-9)
    assert data.current.out == pytest.approx(out[0, 0, 0, :2].tolist(), rel=1e-9)


@pytest.mark.parametrize("row", ROWS)
def test_every_tile_size_ends_at_the_definition(row):
    explorer = explore_online_softmax()
    for _, block in zip(range(20), explorer.controls[1].options, strict=False):
        data = explorer.data(row=row, block=block, step=12)
        assert data.step == len(data.steps) == -(-12 // block)
        assert data.current.out == pytest.approx(data.answer, rel=1e-12)
    scores, values = torch.tensor(data.scores, dtype=torch.float64), torch.tensor(data.values, dtype=torch.float64)
    assert data.answer == pytest.approx((scores.softmax(0) @ values).tolist(), rel=1e-12)


def test_a_row_of_masked_keys_gives_zero_and_no_nan():
    data = explore_online_softmax([-math.inf] * 5, block=2).data(step=3)
    assert data.current.out == data.answer == (0.0, 0.0) and data.current.m == -math.inf
    assert "nan" not in explore_online_softmax([-math.inf] * 5, block=2).text(step=3).lower().replace("becomes nan", "")


def test_the_text_tells_what_rescaling_did_and_what_forgetting_it_costs():
    text = explore_online_softmax().text()
    assert "m rises from 1 to 3, so the old l and acc shrink by exp(1 - 3) = 0.1353" in text
    assert "had the past never been shrunk, l would now be 3.92, not 1.949" in text
    assert "no larger score, m stays 3; l and acc only grow" in explore_online_softmax().text(step=3)
    assert "every key masked; m stays -inf" in explore_online_softmax().text(row="masked start", step=1)


def test_stepping_back_is_stepping_forwards_undone():
    panel = widgets.online_softmax()
    shown = {}
    for step in (0, 1, 2, 3, 2, 1, 0):
        panel.control["step"].set_state({"value": step})
        assert panel.data.step == step
        assert shown.setdefault(step, bytes(panel.image.value)) == bytes(panel.image.value)
    assert len(set(shown.values())) == 4


def test_steps_past_the_end_stay_at_the_end_and_every_control_redraws():
    panel = widgets.online_softmax()
    panel.control["step"].value = 12
    assert panel.data.step == 3 and "tile 3 of 3" in panel.readout.value
    panel.control["block"].value = 3
    assert panel.data.step == 4
    panel.control["row"].value = "large"
    assert panel.data.current.m == 100.5


def test_a_row_and_values_of_ones_own():
    data = explore_online_softmax([1, -math.inf, 2], [[1.0], [math.pi], [3.0]], block=2).data(step=2)
    weight = 1 / (1 + math.e)
    assert data.current.out == pytest.approx((weight + 3 * (1 - weight),))
    assert explore_online_softmax([0.0]).still(step=1).png and explore_online_softmax(range(32)).still().png


@pytest.mark.parametrize(
    ("scores", "values", "error", "message"),
    [
        ([], None, InvalidValue, "1 to 32 numbers; got 0"),
        (range(33), None, InvalidValue, "got 33"),
        ([math.nan, 1], None, InvalidValue, "finite, or -inf"),
        ([math.inf, 1], None, InvalidValue, "finite, or -inf"),
        ("abc", None, InvalidType, "scores must be numbers"),
        ([1, 2], [[1.0]], InvalidValue, "one row a score"),
        ([1, 2], [[1.0], [1.0, 2.0]], InvalidValue, "one row a score"),
        ([1, 2], [[-math.inf], [1.0]], InvalidValue, "must be finite"),
    ],
)
def test_bad_rows_are_refused(scores, values, error, message):
    with pytest.raises(error, match=message):
        widgets.online_softmax(scores, values, block=1)


@pytest.mark.parametrize("block", [0, 33, 2.0, True])
def test_a_bad_block_is_refused(block):
    with pytest.raises(InvalidValue, match="block must be a whole number from 1 to 32"):
        widgets.online_softmax(block=block)
