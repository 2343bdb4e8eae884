"""The dynamic batcher on a virtual clock: checks worked out by hand, and hypothesis beside a slow model of the rules."""

import dataclasses
import gc
import math
import random
import subprocess
import sys
import weakref

import pytest
from batcher_battery import CHECKS
from batcher_days import Day, draw_settings
from batcher_mutants import house_with
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

from minillm.errors import InvalidType, InvalidValue
from minillm.serving import DynamicBatcher, DynamicBatcherConfig, QueuePolicy, ThreadedBatcher
from minillm.serving.batching.send_rule import how_many_to_send

HOUSE = house_with()


@pytest.mark.parametrize("name", CHECKS)
def test_the_batcher_keeps_its_promises(name):
    CHECKS[name](HOUSE)


class BatcherMachine(RuleBasedStateMachine):
    """Hypothesis draws a day; `Day` compares all that can be seen after every step."""

    day = None
    once_started = precondition(lambda self: self.day is not None)

    @initialize(seed=st.integers(0, 10_000))
    def open(self, seed):
        self.day = Day(HOUSE, draw_settings(random.Random(seed)))

    @precondition(lambda self: not self.day.slow.closed)
    @rule(
        size=st.integers(1, 8),
        level=st.integers(0, 3),
        own=st.sampled_from([None, 1, 3, 50]),
        shape=st.sampled_from("aaab"),
    )
    def submit(self, size, level, own, shape):
        priority = None if level == 0 or not self.day.s.levels else min(level, self.day.s.levels)
        self.day.submit(min(size, self.day.s.most), priority, own, shape)

    @rule(which=st.integers(0, 20))
    def cancel(self, which):
        self.day.cancel(which)

    @rule(which=st.integers(0, 5), fails=st.booleans())
    def finish(self, which, fails):
        self.day.finish(which, fails)

    @rule(how_long=st.integers(0, 40))
    def wait(self, how_long):
        self.day.wait(how_long)

    @rule()
    def sleep(self):
        self.day.sleep()

    @rule(drain=st.booleans())
    def close(self, drain):
        self.day.close(drain)

    @rule()
    def wrong_calls(self):
        self.day.wrong_calls()

    def teardown(self):
        if self.day:
            self.day.night()


def test_hypothesis_finds_no_day_on_which_the_two_differ():
    options = settings(
        max_examples=80,
        derandomize=True,
        stateful_step_count=40,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],  # a busy machine is no finding
    )
    run_state_machine_as_test(BatcherMachine, settings=options)


@pytest.mark.parametrize("clock", [float, lambda t: t / 7, lambda t: 1e15 + t])
def test_the_time_it_names_is_always_ahead_and_something_happens_then(clock):
    """Sleeping until the time that was named must get somewhere, whatever numbers the clock gives."""
    policy = QueuePolicy(default_timeout_microseconds=40)
    batcher = DynamicBatcher(
        DynamicBatcherConfig(max_batch_size=3, max_queue_delay_microseconds=33, default_queue_policy=policy)
    )
    for start in range(0, 6000, 300):
        batcher.submit("x", clock(start))
        batch = batcher.poll(clock(start))
        assert batch > clock(start)
        batch = batcher.poll(batch)
        batcher.complete(batch, batcher.now, ["y"])
        assert batcher.poll(batcher.now) is None


def test_a_day_takes_no_longer_when_many_wait():
    """A step looks at the front of the line, not at the line."""

    class Looked:
        def __init__(self):
            self.shapes = 0

        def __eq__(self, other):
            self.shapes += 1
            return True

        def __ne__(self, other):
            self.shapes += 1
            return False

        __hash__ = object.__hash__

    batcher = DynamicBatcher(DynamicBatcherConfig(max_batch_size=4))
    looked = Looked()
    for _ in range(10_000):
        batcher.submit("x", 0, shape=looked)
    looked.shapes = 0
    batch = batcher.poll(0)
    assert looked.shapes <= 8 and len(batch.tickets) == 4


def test_those_who_have_left_are_forgotten():
    """A request with a timeout of an hour must not stay in memory for an hour."""

    class Payload:
        pass

    policy = QueuePolicy(default_timeout_microseconds=3_600_000_000)
    config = DynamicBatcherConfig(
        max_batch_size=1, default_queue_policy=policy, priority_levels=2, default_priority_level=1
    )
    batcher = DynamicBatcher(config)
    batcher.submit("waits behind the others, with the earliest deadline of all", 0, priority=2)
    alive = weakref.WeakSet()
    for now in range(1000):
        alive.add(batcher.submit(Payload(), now).payload)
        batch = batcher.poll(now)
        batcher.complete(batch, now, [None])
    del batch
    gc.collect()
    assert len(alive) < 100


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(max_batch_size=0), "max_batch_size must be at least 1"),
        (dict(max_batch_size=2.0), "max_batch_size must be a whole number"),
        (dict(num_batch_threads=0), "num_batch_threads must be at least 1"),
        (dict(max_queue_delay_microseconds=-1), "max_queue_delay_microseconds must be at least 0"),
        (dict(max_queue_delay_microseconds=1.5), "whole number"),
        (dict(max_enqueued_batches=-1), "max_enqueued_batches must be at least 0"),
        (dict(preserve_ordering=1), "preserve_ordering must be True or False"),
        (dict(preferred_batch_size=9), "preferred_batch_size must be a list"),
        (dict(preferred_batch_size=[0]), "preferred_batch_size must be at least 1"),
        (dict(preferred_batch_size=[9]), "must not go beyond max_batch_size = 8; got 9"),
        (dict(allowed_batch_sizes=[4, 2, 8]), "must ascend and end with max_batch_size"),
        (dict(allowed_batch_sizes=[2, 4]), r"try \[2, 4, 8\]"),
        (dict(allowed_batch_sizes=[2, 2, 8]), "must ascend"),
        (dict(priority_levels=2), "default_priority_level must be at least 1; got 0"),
        (dict(priority_levels=2, default_priority_level=3), "priority levels lie in 1 … 2; got 3"),
        (dict(default_priority_level=1), "priority levels lie in 0 … 0"),
        (dict(priority_levels=1, default_priority_level=1, priority_queue_policy={2: QueuePolicy()}), "got 2"),
        (dict(priority_queue_policy=[QueuePolicy()]), "must map levels to policies"),
        (dict(default_queue_policy=None), "a policy must be a QueuePolicy"),
        (dict(priority_queue_policy={0: {}}), "a policy must be a QueuePolicy"),
        (dict(preserve_ordering=True, priority_levels=2, default_priority_level=1), "room for one priority level"),
        (dict(max_batchsize=3), "did you mean 'max_batch_size'"),
    ],
)
def test_settings_that_cannot_be_are_refused(fields, message):
    with pytest.raises((InvalidValue, InvalidType), match=message):
        DynamicBatcherConfig(**{"max_batch_size": 8} | fields)


def test_settings_are_named():
    for call in (lambda: DynamicBatcherConfig(4), lambda: DynamicBatcherConfig(4, max_batch_size=4)):
        with pytest.raises(InvalidType, match=r"takes named fields; got 1 without a name; write max_batch_size="):
            call()
    with pytest.raises(InvalidType, match=r"got no max_batch_size; write max_batch_size="):
        DynamicBatcherConfig()
    with pytest.raises(InvalidType, match=r"QueuePolicy takes named fields; got 1"):
        QueuePolicy("DELAY")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (dict(timeout_action="DROP"), "unknown timeout_action 'DROP'"),
        (dict(timeout_action="REJECTS"), "did you mean 'REJECT'"),
        (dict(default_timeout_microseconds=-1), "must be at least 0"),
        (dict(max_queue_size=True), "must be a whole number"),
        (dict(allow_timeout_override="yes"), "must be True or False"),
        (dict(max_queue=5), "did you mean 'max_queue_size'"),
    ],
)
def test_policies_that_cannot_be_are_refused(fields, message):
    with pytest.raises((InvalidValue, InvalidType), match=message):
        QueuePolicy(**fields)


@pytest.mark.parametrize("fields", [dict(default_timeout_microseconds=5), dict(allow_timeout_override=True)])
def test_answers_in_order_exclude_the_delayed(fields):
    delayed = QueuePolicy(timeout_action="DELAY", **fields)
    with pytest.raises(InvalidValue, match="DELAY, which reorders"):
        DynamicBatcherConfig(max_batch_size=2, preserve_ordering=True, default_queue_policy=delayed)
    DynamicBatcherConfig(
        max_batch_size=2, preserve_ordering=True, default_queue_policy=QueuePolicy(timeout_action="DELAY")
    )


def test_settings_are_frozen_copied_and_normal():
    policies = {1: QueuePolicy()}
    config = DynamicBatcherConfig(
        max_batch_size=8,
        preferred_batch_size=[4, 2, 4],
        priority_levels=1,
        default_priority_level=1,
        priority_queue_policy=policies,
    )
    policies.clear()
    assert config.preferred_batch_size == (2, 4) and len(config.priority_queue_policy) == 1
    assert DynamicBatcherConfig(max_batch_size=8).preferred_batch_size == (8,)
    with pytest.raises(dataclasses.FrozenInstanceError):
        config.max_batch_size = 3


@pytest.mark.parametrize("now", [math.nan, math.inf, -math.inf, "1", None, True])
def test_a_time_must_be_one(now):
    batcher = DynamicBatcher(DynamicBatcherConfig(max_batch_size=2))
    with pytest.raises((InvalidValue, InvalidType)):
        batcher.poll(now)
    assert batcher.poll(0) is None


def test_wrong_objects_are_refused():
    with pytest.raises(InvalidType, match="config must be"):
        DynamicBatcher({"max_batch_size": 2})
    batcher = DynamicBatcher(DynamicBatcherConfig(max_batch_size=2))
    batcher.submit("x", 0)
    batch = batcher.poll(0)
    with pytest.raises(InvalidType, match="must be an exception"):
        batcher.fail(batch, 0, "broken")
    with pytest.raises(InvalidType, match="must come from poll"):
        batcher.complete(None, 0, [])
    with pytest.raises(InvalidType, match="must come from submit"):
        batcher.cancel(batch, 0)
    assert batcher.num_free == 0 and "1 of 1 busy" in repr(batcher)


def test_the_rule_alone():
    def rule(sizes, preferred, blocked=False, overdue=False):
        return how_many_to_send(sizes, preferred, blocked=blocked, may_wait=True, overdue=overdue)

    assert rule([], (4,)) == 0
    assert rule([1, 1, 1], (4,)) == 0
    assert rule([1, 1, 1], (2, 4)) == 2
    assert rule([1, 1, 1], (2, 4), overdue=True) == 3
    assert rule([1, 1, 1], (4,), blocked=True) == 3
    assert rule([3, 3], (4,)) == 1
    assert rule([5, 1], (4,)) == 1
    assert rule([5], (4,)) == 1


def test_it_needs_no_torch():
    code = (
        "import sys; from minillm.serving import DynamicBatcher, DynamicBatcherConfig, QueuePolicy, ThreadedBatcher\n"
        "ThreadedBatcher(lambda batch: batch.payloads, DynamicBatcherConfig(max_batch_size=2)).close()\n"
        "loaded = {'torch', 'numpy', 'matplotlib'} & set(sys.modules); assert not loaded, loaded"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_the_door_leads_to_it():
    assert {DynamicBatcher.__module__, ThreadedBatcher.__module__} == {
        "minillm.serving.dynamic_batcher",
        "minillm.serving.batching.threads",
    }
