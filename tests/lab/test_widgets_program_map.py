"""The program map: what it shows is what an interpreted kernel does, lane by lane, and every order takes each tile once."""

import pytest
import torch

from minillm.errors import InvalidType, InvalidValue
from minillm.lab import widgets
from minillm.lab.widgets.program_map import explore_programs, map_programs
from minillm.lab.widgets.tile_turns import GROUPED, NAIVE, PATTERNS, PERSISTENT, ROWS, VECTOR, YOURS


def owners(data):
    """The tensor filled with the program that owns each element, as the offsets and masks say; -1 is nobody."""
    tensor = torch.full((data.rows, data.columns), -1)
    for tile in data.tiles:
        offs_m, offs_n = data.offsets(tile)
        for m in (m for m in offs_m if m < data.rows):
            for n in (n for n in offs_n if n < data.columns):
                assert tensor[m, n] == -1, "two programs own one element"
                tensor[m, n] = tile.program
    return tensor


@pytest.mark.parametrize("pattern", PATTERNS)
@pytest.mark.parametrize("block", [4, 8, 16])
def test_every_element_is_owned_once(pattern, block):
    assert (owners(explore_programs().data(pattern=pattern, block=block)) >= 0).all()


@pytest.mark.parametrize(("pattern", "rung"), [(NAIVE, "naive"), (GROUPED, "grouped"), (PERSISTENT, "persistent")])
def test_matmul_orders_are_those_of_the_kernels(pattern, rung):
    from minillm.kernels.tile_order import tile_order

    data = explore_programs().data(pattern=pattern, group=3)
    turns = tile_order(rung, 30, 38, block_m=8, block_n=8, group_m=3, programs=6)
    assert [(tile.program, tile.row, tile.column) for tile in data.tiles] == [tuple(turn) for turn in turns]


def test_the_vector_map_is_what_a_kernel_does():
    pytest.importorskip("triton")
    from minillm.kernels.runtime import mode

    if mode().name != "interpreter":
        pytest.skip("the kernel below is run by the interpreter")
    from program_kernel import write_program_ids

    data = explore_programs().data(pattern=VECTOR)
    out = torch.full((20,), -1, dtype=torch.int32)
    write_program_ids[(data.programs,)](out, 20, BLOCK=8)
    assert out.tolist() == owners(data)[0].tolist()


def test_the_last_program_shows_its_masked_lanes():
    data = explore_programs().data()
    assert (data.program, data.programs, data.lanes(data.last)) == (2, 3, (4, 8))
    assert explore_programs().text().splitlines() == [
        "vector: 20 elements in tiles of 8; 3 programs",
        "offs_n = program 2 * 8 + arange(8) = 16 17 18 19 20 21 22 23",
        "mask_n = offs_n < 20 = 1 1 1 1 0 0 0 0",
        "program 2: 4 of 8 lanes work, 4 are masked off",
        "without the mask those lanes would touch memory that is not theirs",
    ]
    assert "without the mask" not in explore_programs().text(program=0)


def test_softmax_rows_are_padded_to_a_power_of_two():
    data = explore_programs().data(pattern=ROWS, program=2)
    assert data.block == (8, 16) and data.lanes(data.last) == (4 * 10, 8 * 16)
    assert "mask_n = offs_n < 10 = 1 1 1 1 1 1 1 1 1 1 0 0 0 0 0 0" in explore_programs().text(pattern=ROWS)


def test_a_persistent_program_owns_several_tiles():
    data = explore_programs().data(pattern=PERSISTENT, program=4)
    assert data.programs == 6 and len(data.own) == 3
    assert "program 4 takes 3 tiles" in explore_programs().text(pattern=PERSISTENT, program=4)


def test_an_order_of_ones_own_is_drawn_beside_the_others():
    panel = widgets.program_ids(YOURS, order=lambda program, tiles_m, tiles_n: (program % tiles_m, program // tiles_m))
    assert [(t.row, t.column) for t in panel.data.tiles[:5]] == [(0, 0), (1, 0), (2, 0), (3, 0), (0, 1)]
    panel.control["pattern"].value = GROUPED
    assert "matmul, grouped" in panel.readout.value


@pytest.mark.parametrize(
    ("order", "error", "message"),
    [
        (lambda p, m, n: (p // n, 0), InvalidValue, r"\(0, 1\) left out, \(0, 0\) twice, none outside"),
        (lambda p, m, n: (p, 0), InvalidValue, r"outside"),
        (lambda p, m, n: p, InvalidType, r"two whole numbers; got 0; look at program 0"),
        (7, InvalidType, "order must be a function"),
    ],
)
def test_a_wrong_order_is_refused_with_the_first_tile_it_misses(order, error, message):
    with pytest.raises(error, match=message):
        widgets.program_ids(YOURS, order=order)


def test_every_control_moves_data_picture_and_words():
    panel = widgets.program_ids(GROUPED)
    seen = {bytes(panel.image.value)}
    for name, value in (("program", 3), ("group", 3), ("block", 16), ("pattern", ROWS)):
        words = panel.readout.value
        panel.control[name].value = value
        assert panel.readout.value != words
        seen.add(bytes(panel.image.value))
    assert len(seen) == 5


def test_a_program_past_the_last_shows_the_last():
    explorer = explore_programs()
    assert explorer.data(program=19).program == 2
    assert explorer.data(program=19, block=4).program == 4


@pytest.mark.parametrize("shape", [(1, 1), (200, 300), (1, 512), (300, 1)])
def test_extremes_draw(shape):
    pattern = VECTOR if shape[0] == 1 else NAIVE
    assert explore_programs(pattern, shape, block=16).still().png


def test_too_many_tiles_are_refused_with_a_remedy():
    with pytest.raises(InvalidValue, match="at most 400 tiles; got 100 x 100; choose a larger block"):
        map_programs(NAIVE, (200, 200), 2)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (dict(pattern="vectors"), InvalidValue, "did you mean 'vector'"),
        (dict(pattern=YOURS), InvalidValue, "unknown pattern"),
        (dict(shape=(2, 20)), InvalidValue, "a vector has one row"),
        (dict(shape=20), InvalidType, "shape must be"),
        (dict(shape=(1, 0)), InvalidValue, "columns must be a whole number from 1 to 512"),
        (dict(block=0), InvalidValue, "block must be a whole number"),
    ],
)
def test_bad_requests_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        widgets.program_ids(**arguments)
