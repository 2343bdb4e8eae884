"""The split explorer against counting by hand, and against the kernel's own cost."""

import pytest

from minillm.errors import InvalidValue
from minillm.lab import widgets
from minillm.lab.widgets.split_timeline import GROUP, HEAD_DIM, LENGTHS, TARGETS, TILE, explore_splits, timeline
from minillm.measure import cost


@pytest.fixture(scope="module")
def explorer():
    return explore_splits()


def test_one_user_not_cut_by_hand(explorer):
    data = explorer.data()
    assert (data.programs, data.key_tiles, data.rounds, data.steps) == (8, 512, 1, 512)
    assert data.busy(1) == pytest.approx(8 / 132)


def test_sixteen_runs_by_hand(explorer):
    data = explorer.data(splits=16)
    assert data.runs == (32,) * 16 and data.rounds == 1 and data.steps == 32
    assert data.busy(16) == pytest.approx(8 * 512 / (132 * 32))


def test_a_program_more_than_a_wave_costs_a_wave(explorer):
    assert explorer.data(splits=17).rounds == 2
    assert explorer.data(splits=17).busy(17) < 0.6 * explorer.data(splits=16).busy(16)


@pytest.mark.parametrize("state", [{}, {"splits": 16}, {"splits": 17}, {"splits": 7, "length": 4096, "batch": 8}])
def test_the_timeline_shows_the_busy_share(explorer, state):
    data = explorer.data(**state)
    shown = timeline(data, rows=data.steps)  # a row a step: nothing is rounded
    assert shown.shape == (data.steps, data.processors)
    assert (shown >= 0).mean() == pytest.approx(data.busy(data.splits))
    assert set(shown[shown >= 0].tolist()) == set(range(data.programs))


def test_runs_deal_out_every_tile_and_some_get_none(explorer):
    for length in LENGTHS:
        for splits in (1, 3, 7, 64):
            data = explorer.data(length=length, splits=splits)
            assert sum(data.runs) == data.key_tiles and list(data.runs) == sorted(data.runs, reverse=True)
    assert "runs have no keys" in explorer.text(length=128, splits=64)


def test_partial_results_are_what_the_kernel_writes(explorer):
    data = explorer.data(batch=2, length=4096, splits=5)
    heads = data.num_kv_heads * GROUP
    paper = cost.split_decode_cost([4096] * 2, heads, data.num_kv_heads, HEAD_DIM, block_s=TILE, num_splits=5)
    assert data.scratch_bytes == paper.bytes.stored
    assert data.cache_bytes == paper.bytes.loaded - 5 * 2 * heads * HEAD_DIM * 2 - 4 * paper.programs
    assert explorer.data(splits=1).scratch_bytes == 0


def test_every_control_moves_the_picture_and_the_words():
    panel = widgets.split_explorer()
    moves = {"gpu": "A100-80GB-SXM", "batch": 4, "num_kv_heads": 2, "length": 4096, "splits": 9}
    assert set(moves) == set(panel.control)
    for name, value in moves.items():
        before = bytes(panel.image.value), panel.readout.value
        panel.control[name].value = value
        assert bytes(panel.image.value) != before[0] and panel.readout.value != before[1], name


@pytest.mark.parametrize("gpu", list(TARGETS))
def test_the_extremes_draw(explorer, gpu):
    for state in ({"batch": 64, "num_kv_heads": 32, "splits": 64}, {"num_kv_heads": 1, "length": 128}):
        assert explorer.still(gpu=gpu, **state).png


def test_an_unknown_gpu_is_refused():
    with pytest.raises(InvalidValue, match="unknown GPU"):
        widgets.split_explorer(gpu="H100")
