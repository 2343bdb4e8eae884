"""The exercise 12.when: how many of those who wait leave now, by the delay of the oldest and by preferred sizes."""

from __future__ import annotations

import random

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Numbers, Property, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding


def leave_by_hand(waited: list[int], most: int, preferred: list[int], delay: int) -> int:
    """The definition, by trying every number that could leave."""
    fit = [count for count in range(1, len(waited) + 1) if count <= most]
    if not fit:
        return 0
    if waited[0] >= delay:
        return max(fit)
    return max([count for count in fit if count in preferred], default=0)


def _case(name: str, meaning: str, waited: list[int], most: int, preferred: list[int], delay: int) -> Numbers:
    want = leave_by_hand(waited, most, preferred, delay)
    return Numbers(name, (waited, most, preferred, delay), want, "requests", meaning)


def _at_random(call: LearnerCall) -> Finding | None:
    draw = random.Random(12)
    for _ in range(300):
        most = draw.randint(1, 8)
        waited = sorted(draw.choices(range(0, 1500, 100), k=draw.randint(0, 10)), reverse=True)
        preferred = sorted({most, *draw.sample(range(1, most + 1), draw.randint(0, min(2, most)))})
        args = waited, most, preferred, draw.choice((500, 1000, 2000))
        if finding := same(call(*args), leave_by_hand(*args)):
            return Finding("", (("waited, most, preferred, delay", str(args)), *finding.facts))
    return None


def _never_stranded(call: LearnerCall) -> Finding | bool | None:
    """Whoever is asked again at the end of the delay gets everybody out, in the end."""
    waited = [900, 300, 200, 100, 0, 0, 0]
    for _ in range(10):
        if not waited:
            return True
        late = 1000 - waited[0]
        waited = [age + late for age in waited]
        waited = waited[call(list(waited), 3, [3], 1000) :]
    return Finding(
        "", (("left over", f"{len(waited)} of 7, after asking ten times, each time when the oldest was due"),)
    )


WHEN = Exercise(
    id="12.when",
    title="Who leaves now?",
    statement=(
        "The server is free. waited holds for each request in the line how many microseconds it has waited, the oldest first. At most most "
        "fit into a batch; preferred holds the sizes worth sending at once, ascending, most the last of them; nobody waits longer than "
        "delay. Return how many leave now, from the front of the line: as many as fit if the oldest has waited for delay; else the "
        "largest preferred size that the line can fill; else 0."
    ),
    signature="how_many(waited, most, preferred, delay)",
    layers={
        "values": (
            _case("nobody there", "Nobody waits, so nobody leaves.", [], 4, [4], 1000),
            _case("not yet", "The oldest may still wait, and there is room in the batch.", [900, 10], 4, [4], 1000),
            _case("the oldest is due", "The oldest has waited for all of the delay: everybody goes along.", [1000, 10], 4, [4], 1000),
            _case("only the oldest counts", "Together they waited long; the oldest did not.", [600, 600, 600], 4, [4], 1000),
            _case("full", "A full batch has nothing to wait for.", [3, 2, 1, 0], 4, [4], 1000),
            _case("more than full", "A batch has at most four.", [5, 4, 3, 2, 1, 0], 4, [4], 1000),
            _case("due, and more than fit", "Even the overdue must fit.", [2000, 2000, 5, 4, 3, 2], 4, [4], 1000),
            _case("a preferred size", "Two is worth sending at once; the third waits.", [3, 2, 1], 4, [2, 4], 1000),
            _case("the largest preferred", "Six can fill two and five: five leave.", [5, 4, 3, 2, 1, 0], 8, [2, 5, 8], 1000),
            _case("due beats preferred", "When the oldest is due, a preferred size is no reason to leave the others behind.", [1000, 2, 1], 4, [2, 4], 1000),
        ),
        "properties": (
            Property("lines at random", _at_random, "Three hundred lines, beside trying every number that could leave."),
            Property("nobody is stranded", _never_stranded, "Asked again when the oldest is due, the rule must empty the line."),
        ),
    },
    hints=(
        "Two questions in this order: is the oldest due? If not, is there a size worth sending?",
        "Nobody beyond the first most can leave: let n = min(len(waited), most), and never return more.",
        "n = min(len(waited), most)\nif n and waited[0] >= delay: return n\nreturn the largest of preferred that is at most n, or 0",
    ),
    solution="minillm/serving/batching/send_rule.py: how_many_to_send, and notebooks/solutions/lesson_12.py: how_many",
)  # fmt: skip
