"""A simulated day whose budget is chosen anew before every step, by whoever knows what was promised.

The scheduler is the engine's, under policy `budget`. Before each step it is told how many tokens that step may have, by a
function that may ask how long a step of so many tokens would take.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from minillm.measure.step_cost import StepCost, StepWork
from minillm.serving.schedule.config import SchedulerConfig
from minillm.serving.simulate import Simulator
from minillm.serving.watching.trace import StepTrace
from minillm.serving.workload import Workload

Seconds = Callable[[int], float]
Choose = Callable[[Seconds, int, int, float], int]


class PacedDay(Simulator):
    """A workload under `choose(seconds, writing, most, promised) -> tokens`, with room in the pool for everybody.

    `seconds(n)` is how long the next step would take with a budget of n; `writing` texts are being written; a step has `most`
    tokens at most. `questions` counts how often `seconds` was asked, the most in one step.
    """

    def __init__(self, workload: Workload, cost: StepCost, choose: Choose, *, promised: float, most: int = 512):
        blocks = sum(-(-(one.num_prompt_tokens + one.max_tokens) // 16) for one in workload.arrivals)
        config = SchedulerConfig(max_num_batched_tokens=most, max_num_seqs=64, enable_prefix_caching=False)
        super().__init__(workload, config, cost, num_blocks=blocks, block_size=16)
        self.choose, self.promised, self.most, self.questions = choose, promised, most, 0

    def step(self) -> StepTrace | None:
        self.wait()
        if not self.scheduler.has_unfinished:
            return None
        asked = [0]

        def seconds(tokens: int) -> float:
            asked[0] += 1
            return self.seconds_with(tokens)

        writing = sum(not request.is_prefilling for request in self.scheduler.running)
        tokens = self.choose(seconds, writing, self.most, self.promised)
        self.questions = max(self.questions, asked[0])
        self.scheduler.config = replace(self.scheduler.config, max_num_batched_tokens=tokens)
        return super().step()

    def seconds_with(self, budget: int) -> float:
        """How long the next step would take with so many tokens: the scheduler's own rule, played through on paper."""
        running, left = self.scheduler.running, budget
        shares, rows = [], 0
        for behind, request in zip(range(len(running) - 1, -1, -1), running, strict=True):
            known = request.num_tokens - request.num_computed_tokens
            count = min(known, left - behind)
            if count > 0:
                shares.append((request.num_computed_tokens, count))
                rows, left = rows + (count == known), left - count
        waiting = [request for request in self.scheduler.requests.values() if request.status == "waiting"]
        for request in waiting[: max(0, min(64, budget) - len(running))]:
            count = min(request.num_tokens, left)
            if count > 0:
                shares.append((0, count))
                rows, left = rows + (count == request.num_tokens), left - count
        return self.cost.seconds(StepWork.of(shares, rows))
