"""What lesson 14 leans on: days whose budget is asked for step by step, and a patient with the faults that its clinic names."""

import random
from pathlib import Path

import pytest
from lesson_rules import Lesson, source

from minillm.lab.checks.judge import judge
from minillm.lab.exercises.chunk_clinic import CLINIC
from minillm.lab.exercises.step_budget import draw_machine, draw_trace, largest_that_keeps
from minillm.lab.paced_day import PacedDay
from minillm.measure.step_cost import PARTS, StepCost
from minillm.serving.workload import Arrival, Workload

LESSON = Path(__file__).parents[2] / "notebooks" / "14_chunked_prefill.ipynb"


def seeded(seed):
    draw = random.Random(seed)
    return draw_machine(draw), draw_trace(draw)


@pytest.mark.parametrize("seed", range(4))
def test_a_step_takes_as_long_as_was_said_before(seed):
    """`seconds` plays the scheduler's rule through on paper; the step that follows must agree with it."""
    cost, trace = seeded(seed)
    told = []

    def choose(seconds, writing, most, promised):
        tokens = 7 + 61 * len(told) % 200
        told.append(seconds(tokens))
        return tokens

    day = PacedDay(trace, cost, choose, promised=0.05).run()
    assert [step.end - step.start for step in day.steps] == pytest.approx(told)
    assert all(step.num_tokens <= 7 + 61 * i % 200 for i, step in enumerate(day.steps))


def test_who_is_being_written_for_is_counted_and_questions_are():
    counted = []
    cost = StepCost("a second a token", tuple(float(part == "a token") for part in PARTS))
    trace = Workload("two", [Arrival(0.0, range(1, 5), 4), Arrival(0.0, range(1, 9), 2)])

    def choose(seconds, writing, most, promised):
        counted.append((writing, most, promised, seconds(3), seconds(4)))
        return 6

    day = PacedDay(trace, cost, choose, promised=2.0, most=32)
    day.run()
    assert day.questions == 2
    # 4 and 2 of 8 are read; the first writes while 5 more are read, and again with the last one; then both write.
    assert [writing for writing, *_ in counted] == [0, 1, 1, 2]
    assert counted[0][1:3] == (32, 2.0) and counted[0][3:] == (3.0, 4.0)


@pytest.mark.parametrize("seed", range(4))
def test_the_reference_keeps_what_can_be_kept(seed):
    """Gaps of a day paced by the reference: none is longer than promised, but by a step of writers and one token."""
    cost, trace = seeded(seed)
    day = PacedDay(trace, cost, largest_that_keeps, promised=0.05)
    gaps = [gap for times in day.run().times for gap in times.itl]
    floor = max(step.end - step.start for step in day.steps if step.num_tokens <= len(step.shares) + 1)
    assert max(gaps) <= max(0.05, floor) * (1 + 1e-9)


def patient():
    """The lesson's own patient, out of its cells."""
    names = {}
    for cell in Lesson.read(LESSON).cells("code"):
        if source(cell).startswith(("class Planner", "class Patient")):
            exec(source(cell), names)
    return names["Patient"]


def mended_but_for(fault):
    """A planner with one of the patient's faults."""
    Sick = patient()

    class Planner(Sick):
        def step(self):
            left, plan = self.budget, []
            key = self.is_written if fault == "readers first" else lambda text: not self.is_written(text)
            for text in sorted(self.texts, key=key):
                lacks = text["known"] - text["computed"]
                count = self.share(text, left) if fault == "whole pages" else min(lacks, left)
                if count:
                    ends = fault == "samples always" or count == lacks
                    plan.append((text["name"], text["computed"], count, ends))
                    text["computed"] += count
                    text["known"] += ends
                    left -= count
            self.texts = [text for text in self.texts if text["known"] < text["end"]]
            return plan

    return Planner


@pytest.mark.parametrize(
    ("fault", "case"),
    [("samples always", "whole pieces"), ("whole pages", "the last words"), ("readers first", "writers first")],
)
def test_each_of_the_three_faults_is_seen_where_the_clinic_says(fault, case):
    verdict = judge(CLINIC, mended_but_for(fault))
    assert (verdict.status, verdict.case) == ("failed", case), verdict


def test_without_its_faults_the_patient_is_well_and_with_them_it_is_not():
    assert judge(CLINIC, mended_but_for(None)).passed
    assert judge(CLINIC, patient()).case == "whole pieces"
