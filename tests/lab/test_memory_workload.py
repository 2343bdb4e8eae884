"""A day of texts in three memories: nothing is lost, nobody is overtaken, and pages waste the least."""

import pytest

from minillm.errors import InvalidValue
from minillm.lab.first_fit import FirstFit
from minillm.lab.memory_workload import Paged, ReserveKnown, ReserveLongest, Text, chat_texts, serve

SLOTS, LONGEST = 2048, 512
MEMORIES = {
    "longest": lambda: ReserveLongest(SLOTS, LONGEST),
    "known": lambda: ReserveKnown(SLOTS, LONGEST),
    "pages": lambda: Paged(SLOTS, 16),
    "pages of one": lambda: Paged(SLOTS, 1),
}


@pytest.fixture(scope="module")
def texts():
    return chat_texts(60, longest=LONGEST, seed=3)


@pytest.mark.parametrize("name", MEMORIES)
def test_every_text_is_written_and_the_memory_is_empty_again(name, texts):
    memory = MEMORIES[name]()
    day = serve(memory, texts)
    assert memory.reserved == 0 and memory.largest_hole == SLOTS
    assert sum(moment.running for moment in day.moments) == sum(text.answer for text in texts)
    assert all(moment.used <= moment.reserved <= SLOTS for moment in day.moments)


def test_pages_hold_more_texts_and_less_air(texts):
    days = {name: serve(make(), texts) for name, make in MEMORIES.items()}
    assert days["longest"].use < days["known"].use < days["pages"].use < days["pages of one"].use == 1.0
    assert days["longest"].steps > days["known"].steps > days["pages"].steps
    assert days["longest"].mean("running") == SLOTS / LONGEST


def test_a_memory_that_knows_is_left_with_holes(texts):
    day = serve(ReserveKnown(SLOTS, LONGEST), texts)
    assert any(moment.largest_hole < SLOTS - moment.reserved for moment in day.busy)
    paged = serve(Paged(SLOTS, 16), texts)
    assert all(moment.largest_hole == SLOTS - moment.reserved for moment in paged.busy)


def test_the_text_that_came_last_is_sent_away_and_comes_back():
    texts = [Text("a", 8, 20), Text("b", 8, 20)]
    day = serve(Paged(32, 4), texts)
    assert (day.sent_away, day.read_again) == (1, 16)
    assert day.steps == 32 and day.moments[-1].used == 28  # b wrote 8 beside a, and 12 when a had left


def test_texts_are_drawn_from_their_seed():
    assert chat_texts(20, seed=1) == chat_texts(20, seed=1) != chat_texts(20, seed=2)
    assert all(text.prompt >= 4 and text.length <= 100 for text in chat_texts(200, longest=100))


def test_a_text_that_never_fits_is_refused_in_words():
    with pytest.raises(InvalidValue, match="must fit into the empty memory; got 600 tokens"):
        serve(ReserveKnown(512, 512), [Text("long", 500, 100)])


def test_first_fit_takes_the_first_hole_that_is_long_enough():
    memory = FirstFit(20)
    assert [memory.reserve(name, n) for name, n in (("a", 4), ("b", 6), ("c", 3), ("d", 7))] == [0, 4, 10, 13]
    memory.release("a"), memory.release("c")
    assert (memory.num_free, memory.largest_hole, memory.holes) == (7, 4, [(0, 4), (10, 3)])
    assert memory.reserve("e", 5) is None and memory.reserve("f", 3) == 0
    assert repr(memory) == "FirstFit(20 slots, 4 free, largest hole 3)"


@pytest.mark.parametrize("wrong", [lambda m: m.reserve("a", 2), lambda m: m.reserve("b", 0), lambda m: m.release("b")])
def test_first_fit_refuses_what_makes_no_sense(wrong):
    memory = FirstFit(8)
    memory.reserve("a", 4)
    with pytest.raises(InvalidValue):
        wrong(memory)
    assert memory.runs == {"a": (0, 4)}
