"""The little engine and the rules of a day: the tools of lesson 13 must see what they are there to see."""

import importlib.util
from pathlib import Path

import pytest

from minillm.lab.exercises.step_plan import draw_day
from minillm.lab.little_engine import LittleEngine, initials, seats, written_alone
from minillm.lab.step_world import Arrival, Day, Limits, RuleBroken, Work, watch

SOLUTIONS = Path(__file__).parents[2] / "notebooks" / "solutions" / "lesson_13.py"
spec = importlib.util.spec_from_file_location("lesson_13_solutions", SOLUTIONS)
solutions = importlib.util.module_from_spec(spec)
spec.loader.exec_module(solutions)

LIMITS = Limits(8, 4, 16, 4)
ANN, BOB = Work("ann", 9, 8, 2), Work("bob", 13, 12, 3)


class Everybody(LittleEngine):
    """Lets all in at once; right as long as pages last."""

    def schedule(self):
        while self.waiting:
            self.running.append(self.waiting.popleft())
        return [text for text in self.running if self.take_pages(text)]


def test_texts_side_by_side_are_written_as_if_alone():
    engine = Everybody()
    for name, answer in (("ann", 3), ("bob", 9), ("cem", 1)):
        engine.add(name, f"{name} asks", answer)
    assert engine.run() == 9
    for name, answer in (("ann", 3), ("bob", 9), ("cem", 1)):
        assert engine.done[name].words == written_alone(initials, f"{name} asks", answer)
    assert sorted(engine.free) == list(range(engine.num_pages))


def test_a_page_that_changes_hands_shows_in_the_text():
    """The memory is real: a text whose page is overwritten reads the other's words."""
    engine = Everybody(num_pages=2)
    engine.add("ann", "ann asks again", 2)
    engine.step()
    engine.memory[engine.running[0].table[0] * 4] = "zoe"
    engine.run()
    assert engine.done["ann"].words[-1] == "zaaa"


def test_a_page_never_written_shows_too():
    engine = Everybody()
    engine.add("ann", "ann asks", 1)
    engine.waiting[0].computed = 1
    engine.run()
    assert engine.done["ann"].words[-1] == "?a"


def test_seats_are_the_passes_somebody_took_part_in():
    engine = Everybody()
    engine.add("ann", "ann", 1)
    engine.step()
    engine.add("bob", "bob", 2)
    engine.run()
    assert seats(engine, ["ann", "bob"]) == "ann    █\nbob    ·██"


@pytest.mark.parametrize("seed", range(60))
def test_a_day_under_the_solution_ends_and_computes_every_token(seed):
    arrivals, limits = draw_day(seed)
    day = Day(solutions.schedule, arrivals, limits).run(2000)
    assert sorted(day.done) == sorted(arrival.name for arrival in arrivals)
    assert day.free_blocks == limits.free_blocks
    if not any(day.sent_back):
        computed = sum(sum(shares.values()) for shares in day.shares)
        assert computed == sum(arrival.prompt + arrival.answer - 1 for arrival in arrivals)


def test_the_drawn_days_do_run_short_of_pages():
    days = [Day(solutions.schedule, *draw_day(seed)).run(2000) for seed in range(60)]
    assert sum(any(day.sent_back) for day in days) > 10


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ({"ann": 1, "bob": 1}, "a tuple of two"),
        (({"ann": 1.0}, []), "whole numbers"),
        (({"ann": 1}, "bob"), "list of names"),
        (({"zoe": 1}, []), "neither runs nor waits"),
        (({"ann": 0, "bob": 1}, []), "nobody gets none"),
        (({"ann": 2, "bob": 1}, []), "it lacks 1"),
        (({"bob": 1}, []), "ann runs, lacks 1"),
        (({"bob": 1}, ["ann"]), "those who came last"),
        (({}, ["ann", "bob"]), "the first of all"),
        (({"ann": 1, "bob": 1}, ["bob"]), "somebody else's"),
        (({"ann": 1}, ["bob"]), "pages enough"),
        (({"ann": 1, "bob": 1, "dora": 1}, []), "in front of it"),
        (({"ann": 1, "bob": 1}, []), "left waiting"),
        (({"ann": 1, "bob": 1, "cem": 2}, []), "came in, lacks"),
    ],
)
def test_a_broken_rule_is_named(answer, complaint):
    with pytest.raises(RuleBroken, match=complaint):
        watch([ANN, BOB], [Work("cem", 5), Work("dora", 1)], LIMITS, answer)


def test_who_comes_in_needs_pages_and_a_place():
    waiting = [Work("cem", 5)]
    with pytest.raises(RuleBroken, match="at most 2 may"):
        watch([ANN, BOB], waiting, LIMITS._replace(max_running=2), ({"ann": 1, "bob": 1, "cem": 5}, []))
    with pytest.raises(RuleBroken, match="do not exist"):
        watch([ANN], waiting, LIMITS._replace(free_blocks=2), ({"ann": 1, "cem": 5}, []))
    with pytest.raises(RuleBroken, match="pages more than there are"):
        watch([ANN, BOB], [], LIMITS._replace(free_blocks=1), ({"ann": 1, "bob": 1}, []))
    with pytest.raises(RuleBroken, match="came in at a step that sent"):
        watch([ANN, BOB], waiting, LIMITS._replace(free_blocks=1), ({"ann": 1, "cem": 5}, ["bob"]))


def test_a_day_without_end_is_refused():
    day = Day(lambda *_: ({}, []), [Arrival("ann", 0, 3, 2)], LIMITS._replace(free_blocks=0))
    with pytest.raises(RuleBroken, match="nobody may starve"):
        day.run(5)
