"""The pool explorer: every frame adds up, both memories serve the same texts, and what it says is what was played."""

import itertools
from collections import Counter

import pytest

from minillm.errors import InvalidValue
from minillm.lab import widgets
from minillm.lab.widgets.pool_steps import BLOCK_SIZES, KNOWN, LONGEST_ALLOWED, explore_pool, slot_map
from minillm.lab.widgets.pool_story import LONGEST, REQUESTS, SLOTS, STEPS, PagedSide, WholeSide, play


@pytest.mark.parametrize("block_size", BLOCK_SIZES)
def test_pages_add_up_at_every_step(block_size):
    side = PagedSide(block_size)
    for frame in play(side, steps=60):
        held = Counter(block for ids in frame.tables.values() for block in ids)
        assert {piece.start // block_size: len(piece.owners) for piece in frame.pieces} == held
        assert frame.given_out == len(held) * block_size and frame.used <= frame.given_out <= SLOTS
        assert frame.largest_hole == SLOTS - frame.given_out
        for name, ids in frame.tables.items():
            assert len(ids) == -(-frame.lengths[name] // block_size)
        shared = sum(piece.used * (len(piece.owners) - 1) for piece in frame.pieces)
        assert frame.kept == frame.used + shared
        assert frame.empty < block_size * max(1, len(frame.lengths))
    side.pool.check([])


@pytest.mark.parametrize("known", [False, True])
def test_pieces_lie_apart_and_hold_their_text(known):
    for frame in play(WholeSide(known), steps=60):
        slots = [slot for piece in frame.pieces for slot in range(piece.start, piece.start + piece.size)]
        assert len(set(slots)) == len(slots) and set(slots) <= set(range(SLOTS))
        assert {piece.owners[0]: piece.used for piece in frame.pieces} == frame.lengths
        assert all(piece.size == LONGEST for piece in frame.pieces) or known
        assert frame.largest_hole <= SLOTS - frame.given_out


@pytest.mark.parametrize("side", [*map(PagedSide, BLOCK_SIZES), WholeSide(False), WholeSide(True)], ids=repr)
def test_every_text_is_written_in_the_end(side):
    frames = play(side, steps=60)
    assert frames[-1].written == sum(request.answer for request in REQUESTS) and not frames[-1].lengths
    assert all(later.written >= earlier.written for earlier, later in itertools.pairwise(frames))


def test_a_fork_shares_its_pages_until_one_of_the_two_writes():
    explorer = explore_pool()
    forked, after = explorer.data(step=3), explorer.data(step=4)
    assert forked.frames[0].tables["D"] == forked.frames[0].tables["A"]
    assert forked.ref_counts[9] == 2 and after.ref_counts[9] == 1
    assert after.frames[0].tables["D"][:3] == after.frames[0].tables["A"][:3]
    assert after.frames[0].tables["D"][3] != after.frames[0].tables["A"][3]
    assert "pages: D forks A: 13 tokens shared, no page taken" in explorer.text(step=3)
    assert "pages: A writes into page 9, which is shared: copied to 11 first" in explorer.text(step=4)


def test_the_default_view_in_words():
    text = explore_pool().text().splitlines()
    assert text[1] == "  ++++ ++++ ++++ ····     AAAAAAAAAAAAAAAA"
    assert text[-1] == "  one piece: F has to wait"
    assert "  A: 18 tokens, pages 0(x2) 1(x2) 2(x2) 11 19" in text
    rows = [
        line.split()
        for line in text
        if line.split()[-6:-1] in (["76", "68", "8", "5", "0"], ["96", "45", "51", "3", "2"])
    ]
    assert [row[-1] for row in rows] == ["28", "22"]


def test_free_slots_in_holes_that_are_too_short():
    data = explore_pool(reserve=KNOWN).data(step=11)
    assert data.unusable == 29 and data.frames[1].largest_hole == 19
    assert "E waits with 29 slots free, in holes of at most 19" in explore_pool(reserve=KNOWN).text(step=11)
    assert data.frames[0].largest_hole == SLOTS - data.frames[0].given_out


def test_maps_show_every_slot_once():
    for block_size in BLOCK_SIZES:
        for frame in play(PagedSide(block_size)):
            signs = Counter("".join(slot_map(frame)))
            assert sum(signs.values()) == SLOTS
            assert signs["·"] == SLOTS - frame.given_out and signs["o"] == frame.empty


def test_every_control_moves_the_picture_and_the_words():
    panel = widgets.pool_explorer()
    for name, value in {"step": 5, "block_size": 16, "reserve": KNOWN}.items():
        before = bytes(panel.image.value), panel.readout.value
        panel.control[name].value = value
        assert bytes(panel.image.value) != before[0] and panel.readout.value != before[1], name
        assert getattr(panel.data, name) == value


@pytest.mark.parametrize("state", [{"step": STEPS}, {"block_size": 1, "step": 12}, {"block_size": 16, "step": 12}])
def test_the_extremes_draw(state):
    assert explore_pool().still(**state).png


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"block_size": 3}, "block_size must be one of 1, 2, 4, 8, 16; got 3"),
        ({"block_size": True}, "block_size must be one of"),
        ({"reserve": "half"}, f"reserve must be one of {LONGEST_ALLOWED}, {KNOWN}; got 'half'"),
    ],
)
def test_bad_arguments_are_refused(asked, message):
    with pytest.raises(InvalidValue, match=message):
        widgets.pool_explorer(**asked)
