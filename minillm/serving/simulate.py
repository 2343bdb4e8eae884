"""The real scheduler on a virtual clock: who waits for whom, without a model and in no time.

The scheduler, the pool and the prefix cache are the engine's own, so every decision is one that the engine would make. Only
the forward pass is left out: the clock is moved on by what a measured step with that much work takes, and the tokens that
would be chosen are made up. The same trace, rules and costs give the same days, to the last step. No torch here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from minillm.cache.block_pool import BlockPool
from minillm.cache.prefix import PrefixCache
from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy
from minillm.measure.numbers import require_number
from minillm.measure.step_cost import StepCost, StepWork
from minillm.serving.metrics import EngineMetrics
from minillm.serving.outputs import QueueFull
from minillm.serving.request import Request
from minillm.serving.schedule.config import SchedulerConfig
from minillm.serving.schedule.output import SchedulerOutput
from minillm.serving.scheduler import Scheduler
from minillm.serving.watching.request_times import RequestTimes
from minillm.serving.watching.summary import Slo, Summary, summarise
from minillm.serving.watching.trace import StepTrace, trace_shares
from minillm.serving.workload import Workload

MADE_UP = (1,)  # the token that every text is given; nothing depends on which it is


@dataclass(frozen=True)
class Simulation:
    """A day as it went: its steps, and each request's times in the order of arrival."""

    workload: Workload
    config: SchedulerConfig
    source: str
    num_blocks: int
    block_size: int
    steps: tuple[StepTrace, ...]
    times: tuple[RequestTimes, ...]

    @property
    def duration(self) -> float:
        """Seconds from 0 until the last step ended."""
        return self.steps[-1].end

    @property
    def num_tokens(self) -> int:
        """Tokens computed, prompts that were computed again included, padding not."""
        return sum(step.num_tokens for step in self.steps)

    @property
    def padding(self) -> float:
        """The share of all rows computed that were computed for nobody."""
        padded = sum(step.num_padding_tokens for step in self.steps)
        return padded / (padded + self.num_tokens)

    @property
    def num_preemptions(self) -> int:
        """How many times a request lost its blocks."""
        return sum(len(step.preempted) for step in self.steps)

    @property
    def busy(self) -> float:
        """The share of the time in which a step ran."""
        return sum(step.end - step.start for step in self.steps) / self.duration

    def summary(self, slo: Slo | None = None) -> Summary:
        """Percentiles, rates and, given an Slo, goodput."""
        return summarise(self.times, self.duration, slo)


class Simulator:
    """One day of a workload: `step` until it gives None, or `run` for all at once.

    num_blocks, block_size  the pool
    delay                   with policy "static", how long (s) the oldest request waits for a batch of `max_num_seqs`

    Requests that come when the queue is full are turned away, with reason "abort". Raises InvalidType for a cost that is
    no StepCost or a delay that is no number, and, before anything runs, InvalidValue for a request that could never be finished.
    """

    def __init__(
        self,
        workload: Workload,
        config: SchedulerConfig,
        cost: StepCost,
        *,
        num_blocks: int = 256,
        block_size: int = 16,
        delay: float = 0.0,
    ):
        for name, value, kind in (("workload", workload, Workload), ("cost", cost, StepCost)):
            if not isinstance(value, kind):
                rule = f"{name} must be a {kind.__name__}"
                raise InvalidType(rule_numbers_remedy(rule, repr(value)[:60], "see serving.poisson, and StepCost"))
        require_number(delay=delay)
        if not 0 <= delay < float("inf"):
            raise InvalidValue(rule_numbers_remedy("delay must be finite and not negative", repr(delay), "use 0"))
        self.workload, self.cost, self.delay, self.now = workload, cost, delay, 0.0
        self.pool = BlockPool(num_blocks, block_size)
        self.scheduler = Scheduler(self.pool, config, prefix=PrefixCache(self.pool))
        self.metrics = EngineMetrics(num_blocks, keep=len(workload))
        self.steps: list[StepTrace] = []
        self._arriving = self._requests()  # the next last
        self._require_possible(config)

    def step(self) -> StepTrace | None:
        """Wait until there is work, do one step and let its time pass -> what it did; None when all is done."""
        self.wait()
        if not self.scheduler.has_unfinished:
            return None
        start, output = self.now, self.scheduler.schedule()
        shares, tables = trace_shares(output)
        self.now += self.cost.seconds(_work(output))
        sampled = {s.request.request_id: MADE_UP for s in output.shares if s.samples}
        finished = tuple(request.request_id for request in self.scheduler.update(output, sampled))
        trace = StepTrace(
            len(self.steps), start, self.now, shares, output.admitted, output.preempted, finished,
            self.scheduler.num_running, self.scheduler.num_waiting, self.pool.num_free, tables, output.num_padding_tokens,
        )  # fmt: skip
        self.metrics.observe(trace, sampled)
        self.steps.append(trace)
        return trace

    def run(self) -> Simulation:
        """All steps that are left -> the day."""
        while self.step() is not None:
            pass
        times = tuple(self.metrics.times(name) for name in self.workload.names)
        config, pool = self.scheduler.config, self.pool
        return Simulation(
            self.workload, config, self.cost.source, pool.num_blocks, pool.block_size, tuple(self.steps), times
        )

    def _requests(self) -> list[Request]:
        pairs = zip(self.workload.names, self.workload.arrivals, strict=True)
        requests = [
            Request(name, one.prompt_token_ids, max_tokens=one.max_tokens, priority=one.priority, arrival_time=one.time)
            for name, one in pairs
        ]
        return requests[::-1]

    def _require_possible(self, config: SchedulerConfig) -> None:
        """Raise what adding the requests would, on a scheduler that is thrown away."""
        trial = Scheduler(BlockPool(self.pool.num_blocks, self.pool.block_size), replace(config, max_num_waiting=None))
        for request in self._requests():
            trial.add(request)

    def wait(self) -> None:
        """Let in who has come; with nobody there, pass the time until somebody does, and until a batch may begin."""
        self._let_in()
        if not self.scheduler.has_unfinished and self._arriving:
            self.now = self._arriving[-1].arrival_time
            self._let_in()
        scheduler = self.scheduler
        if not self.delay or scheduler.config.policy != "static" or scheduler.num_running:
            return
        until = min((request.arrival_time for request in scheduler.requests.values()), default=0.0) + self.delay
        while scheduler.num_waiting < scheduler.config.num_seats and self.now < until:
            self.now = min([until, *(request.arrival_time for request in self._arriving[-1:])])
            self._let_in()

    def _let_in(self) -> None:
        while self._arriving and self._arriving[-1].arrival_time <= self.now:
            request = self._arriving.pop()
            self.metrics.add(request)
            try:
                self.scheduler.add(request)
            except QueueFull:
                request.finish_reason = "abort"
                self.metrics.finish(request.request_id)


def simulate(
    workload: Workload,
    config: SchedulerConfig,
    cost: StepCost,
    *,
    num_blocks: int = 256,
    block_size: int = 16,
    delay: float = 0.0,
) -> Simulation:
    """A trace, the scheduler's rules and what a step costs -> the whole day; see Simulator."""
    return Simulator(workload, config, cost, num_blocks=num_blocks, block_size=block_size, delay=delay).run()


def _work(output: SchedulerOutput) -> StepWork:
    rows = sum(share.num_drafts + 1 for share in output.shares if share.samples)
    shares = ((share.start, share.num_tokens) for share in output.shares)
    return StepWork.of(shares, rows, output.num_padding_tokens)
