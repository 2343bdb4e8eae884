"""Days in a scheduler's life: at random from a generator, thousands a minute, and drawn by hypothesis, which makes them short.

Pools are so small that texts lose their blocks all the time, the alphabet so small that texts find each other's.
"""

from random import Random

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test
from schedule_world import OURS, VOCABULARY, World

from minillm.errors import InvalidType, InvalidValue

POLICIES = ("budget", "splitfuse", "prefill_first", "static")


def guesser(draw, accuracy):
    """-> drafts of random length for a text, each token of them right that often."""

    def guess(request, right):
        count = draw.randint(0, len(right))
        return [t if draw.random() < accuracy else draw.randrange(VOCABULARY) for t in right[:count]]

    return guess


def drawn_world(draw, house=OURS, **fixed):
    """A world of any kind: policy, memory, order, pool, budget, seats."""
    policy = fixed.pop("policy", None) or draw.choice(POLICIES)
    options = dict(
        policy=policy,
        memory=draw.choice(["optimistic", "optimistic", "reserve"]),
        order=draw.choice(["fcfs", "fcfs", "priority"]),
        max_num_seqs=draw.randint(1, 6),
        max_num_batched_tokens=draw.randint(1, 16),
        enable_chunked_prefill=policy == "splitfuse" or draw.random() < 0.8,
        enable_prefix_caching=draw.random() < 0.7,
        long_prefill_token_threshold=draw.choice([None, None, draw.randint(1, 6)]),
        max_num_waiting=draw.choice([None, None, 6]),
    )
    block_size = draw.randint(1, 4)
    return World(house, draw.randint(12, 36) // block_size, block_size, **(options | fixed))


def arrive(world, draw, count=1):
    """A prompt arrives, asked for `count` texts; where it can never be served, it is refused and nothing changes."""
    beginning = draw.choice([[], [0, 1, 0, 1], [2, 2, 2, 2, 2, 2]])
    prompt = beginning + [draw.randrange(VOCABULARY) for _ in range(draw.randint(1, 8))]
    most = draw.randint(1, 10)
    options = dict(
        max_tokens=most,
        min_tokens=draw.randint(0, most),
        stop_token_ids=draw.choice([(), (), (2,)]),
        priority=draw.randint(0, 2),
        salt=draw.choice([None, None, "other"]),
    )
    try:
        parent = world.add(prompt, **options)
        for _ in range(count - 1):
            world.add(prompt, **options | dict(priority=draw.choice([options["priority"], 0]), parent=parent))
    except InvalidValue:
        world.seen["refused"] += 1


def somebody(world, draw):
    """A request that lives, or None."""
    names = sorted(world.scheduler.requests)
    return world.scheduler.requests[draw.choice(names)] if names else None


def trouble(world, draw, odds):
    """-> what happens in the middle of a step: now and then somebody leaves, or its pass fails."""

    def happen(output):
        while draw.random() < odds and (request := somebody(world, draw)):
            world.finish(request, draw.choice(["abort", "error"]))

    return happen


def live(seed, house=OURS, steps=40, samples=3, **fixed):
    """One random day -> its world, everything in it done and right; now and then a prompt is to be answered `samples` times."""
    draw = Random(seed)
    world = drawn_world(draw, house, **fixed)
    guess = guesser(draw, draw.choice([0.0, 0.6, 1.0])) if draw.random() < 0.5 else None
    rate, odds = draw.choice([0.2, 0.5, 0.9]), draw.choice([0.0, 0.0, 0.05])
    for _ in range(steps):
        while draw.random() < rate and len(world.requests) < 14:
            arrive(world, draw, draw.choice([1, 1, 1, samples]))
        if draw.random() < odds and (request := somebody(world, draw)):
            world.finish(request)
        world.step(trouble(world, draw, odds), trouble(world, draw, odds), guess)
    # Nobody else comes, and whoever is first in order advances in every step, if only by a token.
    most = world.steps + (len(world.requests) + 1) * world.work
    world.run(most, guess=guess)
    return world.close()


def machine(house, policy, **fixed):
    """-> a state machine that lives such a day call by call, in worlds with these options."""

    class ScheduleMachine(RuleBasedStateMachine):
        world = None

        @initialize(draw=st.randoms(use_true_random=False))
        def start(self, draw):
            self.world = drawn_world(draw, house, policy=policy, **fixed)
            self.guess = guesser(draw, draw.choice([0.0, 0.6, 1.0]))

        @rule(draw=st.randoms(use_true_random=False), count=st.sampled_from([1, 1, 3]))
        def arrive(self, draw, count):
            arrive(self.world, draw, count)

        @precondition(lambda self: self.world and self.world.scheduler.has_unfinished)
        @rule()
        def step(self):
            self.world.step(guess=self.guess)

        @precondition(lambda self: self.world and self.world.scheduler.has_unfinished)
        @rule(draw=st.randoms(use_true_random=False))
        def troubled_step(self, draw):
            self.world.step(trouble(self.world, draw, 0.3), trouble(self.world, draw, 0.3))

        @precondition(lambda self: self.world and self.world.scheduler.has_unfinished)
        @rule(draw=st.randoms(use_true_random=False))
        def abort(self, draw):
            request = somebody(self.world, draw)
            self.world.finish(request)
            self.refused(lambda: self.world.scheduler.finish(request.request_id, "abort"))

        @rule()
        def wrong_calls(self):
            scheduler = self.world.scheduler
            self.refused(lambda: scheduler.finish("nobody", "abort"))
            self.refused(lambda: scheduler.add(None))
            for request in scheduler.requests.values():
                self.refused(lambda request=request: scheduler.add(request))
                self.refused(lambda request=request: scheduler.finish(request.request_id, "boredom"))

        def refused(self, call):
            """The call must raise a typed error and change nothing."""
            before = self.world.pool.snapshot(), self.world.scheduler.num_running, self.world.scheduler.num_waiting
            try:
                call()
            except (InvalidValue, InvalidType):
                after = self.world.pool.snapshot(), self.world.scheduler.num_running, self.world.scheduler.num_waiting
                assert after == before, "a refused call changed something"
                return
            raise AssertionError("a wrong call was accepted")

        def teardown(self):
            if self.world:
                self.world.run(self.world.steps + (len(self.world.requests) + 1) * self.world.work).close()

    return ScheduleMachine


def run_machine(house=OURS, policy=None, examples=40, steps=25, shrink=True, **fixed):
    """Let hypothesis draw days of up to `steps` calls, the same at every run; the first broken rule is raised."""
    options = settings(
        max_examples=examples,
        derandomize=True,
        stateful_step_count=steps,
        phases=[Phase.generate, Phase.shrink] if shrink else [Phase.generate],
        report_multiple_bugs=False,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],  # a busy machine is no finding
    )
    run_state_machine_as_test(machine(house, policy, **fixed), settings=options)
