"""Our scheduler keeps every promise of the battery, on random and on drawn days, without torch, and at a fixed price a step."""

import gc
import subprocess
import sys
from collections import Counter

import pytest
from schedule_battery import CHECKS
from schedule_days import POLICIES, live, run_machine
from schedule_world import OURS, World

from minillm.cache import BlockPool, PrefixCache, RadixCache
from minillm.errors import InvalidType, InvalidValue
from minillm.serving.request import Request
from minillm.serving.scheduler import Scheduler, SchedulerConfig


@pytest.mark.parametrize("name", [name for name in CHECKS if "days" not in name])
def test_promise(name):
    CHECKS[name](OURS)


def test_random_days_are_right_and_full_of_trouble():
    """In a hundred days for each policy everything that can go wrong did, and every text is what it is alone."""
    for policy in POLICIES:
        seen, worlds = Counter(), [live(seed, policy=policy) for seed in range(100)]
        for world in worlds:
            seen += world.seen
        for trouble, often in {
            "preempted": 20, "resumed": 20, "found": 100, "copied": 1, "drafts accepted": 200, "drafts rejected": 200,
            "ended from outside": 30,
        }.items():  # fmt: skip
            assert seen[trouble] >= often, f"{policy}: {trouble} only {seen[trouble]} times"
        assert (seen["cut"] > 100) == (policy in ("budget", "splitfuse"))
        assert (seen["padding"] > 0) == (policy == "static")


@pytest.mark.parametrize("policy", POLICIES)
def test_drawn_days(policy):
    run_machine(policy=policy)


@pytest.mark.parametrize("policy", ["budget", "static"])
def test_the_first_in_line_advances_in_every_step(policy):
    """So a day lasts no longer than all texts one after the other, each computed once: preemption can't waste a step."""
    for seed in range(60):
        options = dict(policy=policy, order="fcfs", memory="optimistic", prefix=False, max_num_waiting=None)
        world = live(seed, steps=30, samples=1, **options)
        work = sum(r.num_prompt_tokens + r.max_tokens - 1 for r in world.requests.values())
        assert world.steps <= work


@pytest.mark.parametrize("cache", [PrefixCache, RadixCache])
def test_other_prefix_caches_do(cache):
    house = type("House", (), {**vars(OURS), "PrefixCache": staticmethod(lambda pool, check: cache(pool))})
    for seed in range(20):
        live(seed, house, enable_prefix_caching=True)


def calls_of(scheduler):
    """How many Python functions a step calls."""
    count = 0

    def see(frame, event, _):
        nonlocal count
        count += event == "call"

    gc.disable()
    sys.setprofile(see)
    try:
        output = scheduler.schedule()
        scheduler.update(output, {share.request.request_id: [1] for share in output.shares})
    finally:
        sys.setprofile(None)
        gc.enable()
    return count


@pytest.mark.parametrize("policy", POLICIES)
@pytest.mark.parametrize("free_seats", [0, 1])
def test_a_step_costs_the_same_however_many_wait(policy, free_seats):
    """With a seat left the first in line is looked at, and lacks blocks; nobody looks at those behind it."""

    def crowd(waiting):
        pool = BlockPool(16, 16)
        scheduler = Scheduler(
            pool, SchedulerConfig(max_num_seqs=8 + free_seats, policy=policy), prefix=PrefixCache(pool)
        )
        for i in range(8):
            scheduler.add(Request(f"r{i}", [i] * 17, max_tokens=15))
        for i in range(waiting):
            scheduler.add(Request(f"w{i}", [9] * 17, max_tokens=15))
        output = scheduler.schedule()
        assert len(output.shares) == 8
        scheduler.update(output, {share.request.request_id: [1] for share in output.shares})
        return scheduler

    few, many = crowd(3), crowd(3000)
    assert [calls_of(few) for _ in range(4)] == [calls_of(many) for _ in range(4)]


def test_scheduling_needs_no_torch():
    parts = (f"schedule.{part}" for part in ("check", "policies", "text_memory", "waiting_line"))
    code = "; ".join(f"import minillm.serving.{name}" for name in ("request", "scheduler", *parts))
    code += "; import sys; print([name for name in ('torch', 'numpy') if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("options", "error", "says"),
    [
        (dict(max_num_batched_tokens=0), InvalidValue, "max_num_batched_tokens"),
        (dict(max_num_seqs=1.5), InvalidType, "max_num_seqs"),
        (dict(max_model_len=0), InvalidValue, "max_model_len"),
        (dict(long_prefill_token_threshold=0), InvalidValue, "long_prefill_token_threshold"),
        (dict(max_num_waiting=True), InvalidType, "max_num_waiting"),
        (dict(policy="budgets"), InvalidValue, "did you mean 'budget'"),
        (dict(memory="greedy"), InvalidValue, "optimistic, reserve"),
        (dict(order=None), InvalidValue, "fcfs, priority"),
        (dict(enable_prefix_caching=1), InvalidType, "enable_prefix_caching"),
        (dict(policy="splitfuse", enable_chunked_prefill=False), InvalidValue, "splitfuse"),
    ],
)
def test_rules_that_mean_nothing_are_refused(options, error, says):
    with pytest.raises(error, match=says):
        SchedulerConfig(**options)


def test_a_scheduler_needs_its_rules():
    with pytest.raises(InvalidType, match="SchedulerConfig"):
        Scheduler(BlockPool(4, 4), {"policy": "budget"})
    with pytest.raises(InvalidType, match="BlockPool"):
        Scheduler(4, SchedulerConfig())
    for prefix in (PrefixCache(BlockPool(4, 4)), "prefix"):
        with pytest.raises(InvalidValue, match="own pool"):
            Scheduler(BlockPool(4, 4), SchedulerConfig(), prefix=prefix)


def in_the_middle():
    """A scheduler that checks itself, with two texts that run and one that waits."""
    pool = BlockPool(16, 2)
    scheduler = Scheduler(pool, SchedulerConfig(max_num_seqs=2), prefix=PrefixCache(pool), check=True)
    for i in range(3):
        scheduler.add(Request(f"r{i}", [i, 1, 2], max_tokens=5))
    output = scheduler.schedule()
    scheduler.update(output, {"r0": [1], "r1": [1]})
    return scheduler


@pytest.mark.parametrize(
    "spoil",
    [
        lambda s: s.memory.pool.free(s.running[0].table.block_ids[:1]),
        lambda s: s.memory.pool.allocate(1),
        lambda s: s.running[0].table.append(1),
        lambda s: setattr(s.running[0], "num_computed_tokens", 2),
        lambda s: s.running[0].token_ids.pop(),
        lambda s: s.running.reverse(),
        lambda s: s.running.pop(),
        lambda s: s.requests.pop("r2"),
        lambda s: setattr(s.requests["r2"], "status", "running"),
        lambda s: setattr(s.running[0], "status", "waiting"),
        lambda s: s.waiting.push(s.requests["r2"]),
        lambda s: s.running.append(s.requests["r2"]),
    ],
)
def test_a_check_notices(spoil):
    scheduler = in_the_middle()
    scheduler.check()
    spoil(scheduler)
    with pytest.raises(AssertionError):
        scheduler.check()


def test_a_scheduler_that_checks_itself_notices_at_the_next_call():
    scheduler = in_the_middle()
    scheduler.memory.pool.allocate(1)
    with pytest.raises(AssertionError, match="references"):
        scheduler.schedule()


def test_it_says_where_it_stands():
    scheduler = in_the_middle()
    assert repr(scheduler).startswith("Scheduler(2 running, 1 waiting, BlockPool(4 of 16 used")
    assert repr(scheduler.running[0]) == "Request('r0', running, prompt of 3, 1 of 5 written, 3 computed)"
    assert repr(scheduler.finish("r0", "abort")).startswith("Request('r0', finished (abort)")


def test_shares_are_told_apart_by_their_tokens():
    world = World(num_blocks=20, block_size=4, max_num_batched_tokens=3)
    world.add([5, 6, 7, 8], max_tokens=9)
    assert [s.token_ids for s in world.step().shares] == [[5, 6, 7]]
    assert [s.token_ids for s in world.step(guess=lambda request, right: [1, 2]).shares] == [[8]]
    share = world.scheduler.schedule().shares[0]
    assert share.token_ids == [world.requests["r0"].token_ids[4], 1, 2]
