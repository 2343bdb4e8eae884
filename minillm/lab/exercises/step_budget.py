"""The exercise 14.target: choose each step's budget so that nobody waits longer than promised, judged by simulated days.

A learner's function is asked before every step of the real scheduler, on machines and traces drawn from a seed. Whoever keeps
the promise with tiny steps has readers of long prompts wait, and whoever reads prompts at once breaks it: days are judged by
the gaps, by the requests served in time, and by the slowest first token, beside the best that the promise allows.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import lru_cache

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding
from minillm.lab.paced_day import PacedDay, Seconds
from minillm.measure.step_cost import PARTS, StepCost
from minillm.serving.simulate import Simulation
from minillm.serving.watching.summary import Slo
from minillm.serving.workload import Arrival, Workload

QUESTIONS = 24  # to one step: halving 1 … 4,096 takes twelve


def largest_that_keeps(seconds: Seconds, writing: int, most: int, promised: float) -> int:
    """The reference: the largest step in time; when nobody would notice, the largest; when none is in time, a token more."""
    if not writing:
        return most
    low, high = min(writing + 1, most), most
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if seconds(middle) <= promised else (low, middle - 1)
    return low


def _case(
    name: str, meaning: str, want: int, writing: int, most: int, promised: float, seconds: Callable[[int], float]
) -> Property:
    def law(call: LearnerCall) -> Finding | None:
        got = call(seconds, writing, most, promised)
        if type(got) is int and got == want:
            return None
        asked = f"writing={writing}, most={most}, promised={promised:g}"
        times = ", ".join(
            f"seconds({n}) = {seconds(n):.4g}" for n in sorted({max(1, writing), want, min(want + 1, most)})
        )
        return Finding("", (("inputs", asked), ("machine", times), ("got", repr(got)[:40]), ("want", str(want))))

    return Property(name, law, meaning)


def _in_range(call: LearnerCall) -> Finding | None:
    for writing, most in ((0, 8), (3, 8), (8, 8), (20, 8), (3, 4096)):
        got = call(lambda n: 0.01 * n, writing, most, 0.05)
        if type(got) is not int or not 1 <= got <= most:
            return Finding("", (("inputs", f"writing={writing}, most={most}"), ("got", repr(got)[:40])))
    return None


def draw_machine(draw: random.Random) -> StepCost:
    """A machine: a step, each token and each key cost something."""
    costs = {"a step": draw.uniform(2e-3, 2e-2), "a token": draw.uniform(1e-4, 8e-4), "a text": draw.uniform(0, 5e-4)}
    costs |= {"a key": draw.uniform(0, 2e-6), "a query and key": draw.uniform(0, 4e-7)}
    return StepCost("drawn", tuple(costs.get(part, 0.0) for part in PARTS))


def draw_trace(draw: random.Random) -> Workload:
    """Chats that are being written, long prompts in between, and a last long prompt when nobody writes any more."""
    chats = [(draw.uniform(0, 0.3), draw.randint(4, 40), draw.randint(30, 60)) for _ in range(draw.randint(2, 6))]
    long = [(draw.uniform(0.2, 1.0), draw.randint(300, 900), draw.randint(2, 8)) for _ in range(draw.randint(1, 3))]
    last = [(60.0, 800, 1)]
    return Workload(
        "drawn",
        tuple(
            Arrival(time, tuple(draw.randrange(1, 2000) for _ in range(prompt)), wanted)
            for time, prompt, wanted in [*chats, *long, *last]
        ),
    )


def _day_of(seed: int, choose: Callable[..., int]) -> tuple[PacedDay, Simulation]:
    draw = random.Random(seed)
    cost, trace = draw_machine(draw), draw_trace(draw)
    day = PacedDay(trace, cost, choose, promised=draw.choice((0.03, 0.05, 0.08)))
    return day, day.run()


@lru_cache(maxsize=8)
def _best_day(seed: int) -> Simulation:
    return _day_of(seed, largest_that_keeps)[1]


def _checked(call: LearnerCall) -> Callable[..., int]:
    def choose(seconds: Seconds, writing: int, most: int, promised: float) -> int:
        tokens = call(seconds, writing, most, promised)
        if type(tokens) is not int or not 1 <= tokens <= most:
            raise ValueError(f"a step has 1 to {most} tokens; got {tokens!r}")
        return tokens

    return choose


def _days(judge: Callable[[PacedDay, Simulation, Simulation], tuple[str, str] | None]):  # type: ignore[no-untyped-def]
    def law(call: LearnerCall) -> Finding | None:
        for seed in range(4):
            day, mine = _day_of(seed, _checked(call))
            if wrong := judge(day, mine, _best_day(seed)):
                promised = f"{1e3 * day.promised:.0f} ms between tokens"
                return Finding("", (("day", f"{seed}, {day.workload!r}"), ("promised", promised), wrong))
        return None

    return law


def _gaps(day: PacedDay, mine: Simulation, best: Simulation) -> tuple[str, str] | None:
    longest, possible = (max(gap for times in of.times for gap in times.itl) for of in (mine, best))
    allowed = max(day.promised, possible)
    if longest <= allowed * (1 + 1e-9):
        return None
    return "longest gap", f"{1e3 * longest:.1f} ms, where {1e3 * allowed:.1f} ms were possible"


def _served(day: PacedDay, mine: Simulation, best: Simulation) -> tuple[str, str] | None:
    firsts = [times.ttft or 0.0 for times in best.times]
    slo = Slo(ttft=1.02 * max(firsts), tpot=max(day.promised, *(times.tpot or 0.0 for times in best.times)))
    got, want = (of.summary(slo).goodput or 0.0 for of in (mine, best))
    if got >= 0.98 * want:
        return None
    return "goodput", f"{got:.3f} requests/s in time, where {want:.3f} were possible"


def _nobody_forgotten(day: PacedDay, mine: Simulation, best: Simulation) -> tuple[str, str] | None:
    for name, times, other in zip(day.workload.names, mine.times, best.times, strict=True):
        if (times.ttft or 0.0) > 1.25 * (other.ttft or 0.0) + day.promised:
            tokens = f"request {name}, {times.num_prompt_tokens} tokens"
            return "waited", f"{tokens}: {times.ttft:.3f} s for its first token, where {other.ttft:.3f} s were possible"
    return None


def _few_questions(call: LearnerCall) -> Finding | None:
    for most in (64, 4096):
        asked = [0]

        def seconds(n: int, asked: list[int] = asked) -> float:
            asked[0] += 1
            return 1e-5 * n

        call(seconds, 5, most, 0.02)
        if asked[0] > QUESTIONS:
            return Finding(
                "", (("most", str(most)), ("got", f"{asked[0]} questions"), ("want", f"at most {QUESTIONS}"))
            )
    return None


TARGET = Exercise(
    id="14.target",
    title="Keep the promise, and waste nothing",
    statement=(
        "Before each step you are asked how many tokens it may compute. seconds(n) says how long the step would take with n (it never falls as n grows); `writing` texts are being "
        "written, and take a token each; `most` is the largest step; nobody who is being written for should wait longer than `promised` seconds. Return the largest n from writing + 1 to most "
        "that keeps the promise. When none does, return writing + 1 (at most `most`), so that prompts are read all the same. When nobody is being written for, return `most`."
    ),
    signature="budget(seconds, writing, most, promised)",
    layers={
        "contract": (Property("a whole number", _in_range, "Return an int from 1 to most."),),
        "values": (
            _case("in between", "The largest step that is in time.", 40, 3, 512, 0.05, lambda n: (10 + n) / 1000),
            _case("just in time", "A step that takes exactly as long as promised keeps the promise.", 4, 3, 512, 0.5, lambda n: n / 8),
            _case("one token later", "One token more would be too late.", 99, 1, 512, 1.0, lambda n: 0.5 if n < 100 else 1.5),
            _case("all in time", "Nothing is gained by a smaller step than allowed.", 512, 3, 512, 5.0, lambda n: n / 1000),
            _case("nobody to wait", "Nobody is being written for, so nobody stutters: read the prompt at once.", 512, 0, 512, 0.05, lambda n: n / 1000),
            _case("the promise cannot be kept", "A promise that is broken anyway is no reason to let a prompt wait for ever: one token of it, at least.", 9, 8, 512, 0.01, lambda n: (20 + n) / 1000),
            _case("only the writers are in time", "A token of a prompt breaks the promise, and no token of it would let its reader wait for ever.", 5, 4, 512, 0.005, lambda n: n / 1000 + 0.0005),
            _case("more writers than tokens", "A step never has more than `most`.", 8, 20, 8, 0.05, lambda n: n / 1000),
            _case("steps of tiles", "Machines compute in tiles, so time rises in steps.", 128, 2, 512, 0.02, lambda n: 0.01 * -(-n // 64)),
        ),
        "properties": (
            Property("gaps", _days(_gaps), "On no machine, and at no step, does a reader wait longer than promised, if it can be helped."),
            Property("goodput", _days(_served), "Requests served within the promise, a second: neither stutter nor slow reading."),
            Property("nobody forgotten", _days(_nobody_forgotten), "Whoever sent a long prompt is a reader, too: it is read as fast as the promise to the others allows."),
        ),
        "resources": (
            Property("few questions", _few_questions, "A step is chosen hundreds of times a second: halve the range, don't try every n."),
        ),
    },
    hints=(
        "seconds(n) never falls. So there is a last n that is in time, and every smaller one is in time, too.",
        "Keep a range low … high that holds the answer, and ask for its middle: half of the range is gone with each question. Two cases need no question at all.",
        "nobody is being written for?  most\n"
        "low, high = min(writing + 1, most), most\n"
        "while low < high:  middle, rounded up;  in time? low = middle;  else high = middle - 1\n"
        "return low",
    ),
    solution="minillm/lab/exercises/step_budget.py: largest_that_keeps, and notebooks/solutions/lesson_14.py: budget",
    time_limit_s=30.0,
)  # fmt: skip
