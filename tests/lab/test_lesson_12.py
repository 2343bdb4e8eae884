"""Lesson 12's hall, the patient in it, and that each of its three faults is found when the other two are mended."""

import importlib.util
from pathlib import Path

import pytest
from lesson_rules import Lesson, source

from minillm.errors import InvalidType, InvalidValue
from minillm.lab.batch_hall import open_hall
from minillm.lab.batching_day import PassCost
from minillm.lab.checks.judge import judge
from minillm.lab.exercises.batcher_clinic import CLINIC

ROOT = Path(__file__).parents[2]
LESSON = ROOT / "notebooks" / "12_dynamic_batching.ipynb"
ANSWERS = ROOT / "tests" / "wrong_answers" / "exercises" / "12.clinic"
COST = PassCost(2000, 100)


def answer(name):
    spec = importlib.util.spec_from_file_location(f"clinic_{name}", ANSWERS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.answer


def patient():
    """The class that the lesson's cells define."""
    names = {}
    for cell in Lesson.read(LESSON).cells("code"):
        if source(cell).startswith(("class Desk", "class Patient")):
            exec(source(cell), names)
    return names["Patient"]


def started(server, *arrivals, **options):
    day = open_hall(lambda hall: server(hall, 8, 1000), arrivals, COST, **options)
    return [one.started for one in day.requests]


@pytest.mark.parametrize(
    ("name", "case"),
    [
        ("wrong_still_from_when_it_asked", "the oldest counts"),
        ("wrong_bell_after_taking", "the oldest counts"),
        ("wrong_long_ones_stay", "too long for any batch"),
    ],
)
def test_each_fault_is_found_when_the_other_two_are_mended(name, case):
    verdict = judge(CLINIC, answer(name))
    assert (verdict.status, verdict.case) == ("failed", case), verdict


def test_the_patient_fails_as_the_lesson_tells():
    sick = patient()
    assert started(sick, (0, 2), (400, 2), (900, 4)) == [1000, 1000, 1000]
    assert started(sick, (0, 2), (1500, 2)) == [1000, None]
    assert started(sick, (0, 2), (1500, 2), (9000, 2)) == [1000, 10_000, 10_000]
    assert started(sick, (0, 2), (2000, 9), (5000, 1), (9000, 1)) == [1000, None, None, None]
    assert judge(CLINIC, sick).status == "failed"


def test_a_mended_one_is_on_time():
    mended = answer("right_bell_first")
    assert started(mended, (0, 2), (400, 2), (900, 4)) == [900, 900, 900]
    assert started(mended, (0, 2), (1500, 2)) == [1000, 3200]
    assert started(mended, (0, 2), (2000, 9), (5000, 1), (9000, 1)) == [1000, None, 6000, 10_000]


class Server:
    """One whose work is handed to it."""

    def __init__(self, work):
        self.work_, self.queue, self.seen = work, [], []

    def __call__(self, hall):
        self.hall = hall
        return self

    def submit(self, request):
        self.queue.append(request)
        self.hall.bell = True

    def work(self):
        yield from self.work_(self, self.hall)


def test_the_hall_lets_time_pass():
    def work(self, hall):
        for wish in (
            lambda: hall.listen(),
            lambda: hall.listen(),
            lambda: hall.sleep(500),
            lambda: hall.compute(self.queue[:1]),
        ):
            yield wish()
            self.seen.append(hall.now)
        hall.bell = False
        yield hall.listen(at_most=50)
        self.seen.append(hall.now)

    server = Server(work)
    day = open_hall(server, [(100, 3), (300, 1)], COST)
    assert server.seen == [100, 100, 600, 600 + 2300, 2950]
    assert [one.answered for one in day.requests] == [2900, None] and day.unanswered == [1]
    assert [(sent.requests, sent.rows) for sent in day.batches] == [((0,), 3)]


def test_a_bell_ends_a_listening_early():
    def work(self, hall):
        yield hall.listen(at_most=1000)
        self.seen.append(hall.now)
        yield hall.sleep(5)

    server = Server(work)
    open_hall(server, [(30, 1)], COST)
    assert server.seen == [30]


def restless(self, hall):
    while True:
        yield hall.sleep(0)


def twice(self, hall):
    yield hall.listen()
    yield hall.compute(self.queue)
    yield hall.compute(self.queue)


@pytest.mark.parametrize(
    ("work", "error", "message"),
    [
        (restless, InvalidValue, "turns at most"),
        (twice, InvalidValue, "take each request once"),
        (lambda self, hall: iter([5]), InvalidType, "yields hall.listen"),
    ],
)
def test_servers_that_cheat_are_told(work, error, message):
    with pytest.raises(error, match=message):
        open_hall(Server(work), [(0, 1)], COST, turns_each=10)


def test_work_must_be_a_generator():
    server = Server(None)
    server.work = lambda: []
    with pytest.raises(InvalidType, match="must be a generator"):
        open_hall(server, [(0, 1)], COST)
