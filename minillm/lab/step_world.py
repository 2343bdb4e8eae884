"""A day under a learner's schedule: texts arrive, a function shares out each step's tokens, and the rules are watched.

Nothing is computed. A text is three numbers (tokens known, tokens computed, pages held), a step changes them, and a text
all of whose known tokens are computed gets one more. Whoever breaks a rule is told which, at which step, and with the numbers.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple


class Work(NamedTuple):
    """A text as a schedule sees it: `known` tokens, of which `computed` have keys and values, in `blocks` pages."""

    name: str
    known: int
    computed: int = 0
    blocks: int = 0


class Limits(NamedTuple):
    """What a step may use, in the order in which a schedule is told."""

    budget: int
    max_running: int
    free_blocks: int
    block_size: int


class Arrival(NamedTuple):
    """Before step `step` a text of `prompt` tokens comes, and wants `answer` more."""

    name: str
    step: int
    prompt: int
    answer: int


Shares = dict[str, int]
Schedule = Callable[..., tuple[Shares, list[str]]]


class RuleBroken(Exception):
    """A rule that a schedule broke, in words."""


class Day:
    """Texts under `schedule(running, waiting, budget, max_running, free_blocks, block_size)`, step by step.

    `limits.free_blocks` are all the pages there are. `shares` and `sent_back` hold a step's decisions each; `done` says who
    left, in order.
    """

    def __init__(self, schedule: Schedule, arrivals: Iterable[Arrival], limits: Limits) -> None:
        self.schedule, self.limits = schedule, limits
        self.coming = deque(sorted(arrivals, key=lambda arrival: arrival.step))
        self.order = [arrival.name for arrival in self.coming]
        self.ends = {arrival.name: arrival.prompt + arrival.answer for arrival in self.coming}
        self.running: list[Work] = []
        self.waiting: list[Work] = []
        self.shares: list[Shares] = []
        self.sent_back: list[list[str]] = []
        self.done: list[str] = []

    @property
    def free_blocks(self) -> int:
        """Pages that nobody holds."""
        return self.limits.free_blocks - sum(work.blocks for work in self.running)

    def run(self, most: int) -> Day:
        """Step until everybody has left. Raises RuleBroken for a broken rule, and after `most` steps."""
        while len(self.done) < len(self.order):
            if len(self.shares) == most:
                late = [name for name in self.order if name not in self.done]
                raise RuleBroken(f"after {most} steps {', '.join(late[:4])} had not left; nobody may starve")
            self.step()
        return self

    def step(self) -> None:
        """Let in who has come, ask the schedule, watch the rules, and compute."""
        while self.coming and self.coming[0].step <= len(self.shares):
            arrival = self.coming.popleft()
            self.waiting.append(Work(arrival.name, arrival.prompt))
        limits = self.limits._replace(free_blocks=self.free_blocks)
        answer = self.schedule(tuple(self.running), tuple(self.waiting), *limits)
        shares, sent_back = watch(self.running, self.waiting, limits, answer)
        back = [work for work in self.running if work.name in sent_back]
        admitted = [work for work in self.waiting if work.name in shares]
        self.waiting = [work._replace(computed=0, blocks=0) for work in back] + self.waiting[len(admitted) :]
        self.running = [self._after(work, shares) for work in self.running[: len(self.running) - len(back)] + admitted]
        left = [work.name for work in self.running if work.known == self.ends[work.name]]
        self.running = [work for work in self.running if work.name not in left]
        self.done += left
        self.shares.append(shares)
        self.sent_back.append(sent_back)

    def _after(self, work: Work, shares: Shares) -> Work:
        computed = work.computed + shares.get(work.name, 0)
        if computed == work.computed:
            return work
        return Work(work.name, work.known + (computed == work.known), computed, blocks_for(computed, self.limits))


def blocks_for(tokens: int, limits: Limits) -> int:
    """How many pages hold so many tokens."""
    return -(-tokens // limits.block_size)


def watch(running: Sequence[Work], waiting: Sequence[Work], limits: Limits, answer: Any) -> tuple[Shares, list[str]]:
    """A schedule's answer, when it keeps all the rules; raises RuleBroken with the first that it breaks."""
    shares, sent_back = _well_formed(answer, running, waiting)
    works = {work.name: work for work in (*running, *waiting)}
    for name, tokens in shares.items():
        missing = works[name].known - works[name].computed
        if not 1 <= tokens <= missing:
            raise RuleBroken(f"{name} gets {tokens} tokens; it lacks {missing}, and nobody gets none")
    if sum(shares.values()) > limits.budget:
        raise RuleBroken(f"the step has {sum(shares.values())} tokens; the budget is {limits.budget}")
    stay = _watch_sent_back(running, sent_back, shares)
    admitted = _watch_line(waiting, shares, sent_back)
    if len(stay) + len(admitted) > limits.max_running:
        raise RuleBroken(f"{len(stay) + len(admitted)} texts run; at most {limits.max_running} may")
    _watch_running(running, stay, shares, limits)
    _watch_admission(waiting, admitted, stay, shares, sent_back, limits)
    return shares, sent_back


def _well_formed(answer: Any, running: Sequence[Work], waiting: Sequence[Work]) -> tuple[Shares, list[str]]:
    if not isinstance(answer, tuple) or len(answer) != 2:
        raise RuleBroken(f"the answer is (shares, sent_back), a tuple of two; got {answer!r:.60}")
    shares, sent_back = answer
    if not isinstance(shares, dict) or not all(type(tokens) is int for tokens in shares.values()):
        raise RuleBroken(f"shares is a dictionary from names to whole numbers; got {shares!r:.60}")
    if not isinstance(sent_back, list | tuple):
        raise RuleBroken(f"sent_back is a list of names; got {sent_back!r:.60}")
    strangers = [name for name in shares if name not in {work.name for work in (*running, *waiting)}]
    if strangers:
        raise RuleBroken(f"shares names {strangers[0]!r}, who neither runs nor waits")
    return dict(shares), list(sent_back)


def _watch_sent_back(running: Sequence[Work], sent_back: list[str], shares: Shares) -> list[Work]:
    """-> the running texts that stay."""
    stay = list(running[: len(running) - len(sent_back)])
    if sorted(sent_back) != sorted(work.name for work in running[len(stay) :]):
        raise RuleBroken(f"{sent_back} were sent back; those who came last go first: {[w.name for w in running]}")
    if running and not stay:
        raise RuleBroken(f"{running[0].name}, the first of all, was sent back: then nobody need ever be done")
    for name in sent_back:
        if name in shares:
            raise RuleBroken(f"{name} was sent back and gets {shares[name]} tokens: its pages are somebody else's")
    return stay


def _watch_line(waiting: Sequence[Work], shares: Shares, sent_back: list[str]) -> list[Work]:
    """-> the waiting texts that come in: the head of the line."""
    admitted = [work for work in waiting if work.name in shares]
    if admitted != list(waiting[: len(admitted)]):
        first = next(work.name for work in waiting if work.name not in shares)
        raise RuleBroken(f"{admitted[-1].name} came in before {first}, who waits in front of it")
    if admitted and sent_back:
        raise RuleBroken(f"{admitted[0].name} came in at a step that sent {sent_back[0]} back for want of pages")
    return admitted


def _watch_running(running: Sequence[Work], stay: list[Work], shares: Shares, limits: Limits) -> None:
    """Everybody who stays gets what it lacks, in order, as far as budget and pages go; nobody is sent back without need."""
    budget, free = limits.budget, limits.free_blocks + sum(work.blocks for work in running[len(stay) :])
    for work in stay:
        want, got = min(work.known - work.computed, budget), shares.get(work.name, 0)
        if got != want:
            raise RuleBroken(
                f"{work.name} runs, lacks {work.known - work.computed} of the {budget} tokens left, and got {got}"
            )
        budget -= got
        free -= blocks_for(work.computed + got, limits) - work.blocks if got else 0
    if free < 0:
        raise RuleBroken(f"the running texts need {-free} pages more than there are; send back who came last")
    if len(stay) < len(running):
        _watch_need(running, len(stay), limits)


def _watch_need(running: Sequence[Work], stayed: int, limits: Limits) -> None:
    """With one text fewer sent back, pages would not have been enough."""
    budget, free = limits.budget, limits.free_blocks + sum(work.blocks for work in running[stayed + 1 :])
    for work in running[: stayed + 1]:
        got = min(work.known - work.computed, budget)
        budget -= got
        free -= blocks_for(work.computed + got, limits) - work.blocks if got else 0
        if free < 0:
            return
    raise RuleBroken(f"{running[stayed].name} was sent back, and there were pages enough for it")


def _watch_admission(
    waiting: Sequence[Work],
    admitted: list[Work],
    stay: list[Work],
    shares: Shares,
    sent_back: list[str],
    limits: Limits,
) -> None:
    """Who comes in gets as much as the budget leaves and has pages for it; the line stops where something is short."""
    budget = limits.budget - sum(shares.get(work.name, 0) for work in stay)
    free = limits.free_blocks - sum(
        _more_blocks(work, shares[work.name], limits) for work in stay if work.name in shares
    )
    for work in admitted:
        want = min(work.known - work.computed, budget)
        if shares[work.name] != want:
            raise RuleBroken(
                f"{work.name} came in, lacks {work.known} of the {budget} tokens left, and got {shares[work.name]}"
            )
        budget, free = budget - want, free - _more_blocks(work, want, limits)
        if free < 0:
            raise RuleBroken(f"{work.name} came in with {want} tokens, and {-free} of its pages do not exist")
    if sent_back or len(admitted) == len(waiting) or budget == 0 or len(stay) + len(admitted) == limits.max_running:
        return
    head = waiting[len(admitted)]
    if _more_blocks(head, min(head.known, budget), limits) <= free:
        raise RuleBroken(f"{head.name} was left waiting, with {budget} tokens, {free} pages and a place to spare")


def _more_blocks(work: Work, tokens: int, limits: Limits) -> int:
    return blocks_for(work.computed + tokens, limits) - work.blocks
