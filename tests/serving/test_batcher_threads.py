"""The dynamic batcher in threads: every future ends once, whatever the model, the callers and the clock do."""

import asyncio
import random
import threading
import time
from collections import Counter
from concurrent import futures

import pytest
from batcher_mutants import house_with
from batcher_thread_battery import CHECKS, MOMENT

from minillm.serving import DynamicBatcherConfig, QueuePolicy, ThreadedBatcher
from minillm.serving.outputs import QueueFull

HOUSE = house_with()


@pytest.mark.parametrize("name", CHECKS)
def test_the_threads_keep_their_promises(name):
    CHECKS[name](HOUSE)


def test_a_storm_ends_every_future_once():
    """Callers submit, cancel and run out of time while the model sometimes raises; then the batcher is closed."""
    ended, every, lock = Counter(), [], threading.Lock()
    policy = QueuePolicy(default_timeout_microseconds=100_000, allow_timeout_override=True, max_queue_size=40)

    def model(batch):
        time.sleep(0.001)
        if batch.number % 7 == 3:
            raise ValueError("now and then")
        return [("answer", payload) for payload in batch.payloads]

    def caller(seed):
        draw = random.Random(seed)
        for i in range(60):
            own = draw.choice((None, None, 200))
            try:
                future = batcher.submit((seed, i), size=draw.randint(1, 3), timeout_microseconds=own)
            except QueueFull:
                continue
            future.add_done_callback(lambda done: ended.update([id(done)]))
            with lock:
                every.append((future, (seed, i)))
            if draw.random() < 0.2:
                future.cancel()
            time.sleep(draw.choice((0, 0.001)))

    config = DynamicBatcherConfig(
        max_batch_size=6, max_queue_delay_microseconds=300, num_batch_threads=3, default_queue_policy=policy
    )
    with ThreadedBatcher(model, config) as batcher:
        callers = [threading.Thread(target=caller, args=(seed,)) for seed in range(6)]
        for thread in callers:
            thread.start()
        for thread in callers:
            thread.join()
    _, waiting = futures.wait([future for future, _ in every], MOMENT)
    assert not waiting and set(ended.values()) == {1} and len(ended) == len(every)
    kinds = Counter("cancelled" if f.cancelled() else type(f.exception()).__name__ for f, _ in every)
    for future, payload in every:
        if not future.cancelled() and future.exception() is None:
            assert future.result() == ("answer", payload)
    assert kinds["NoneType"] > 50 and kinds["cancelled"] and kinds["ValueError"], kinds
    counted = batcher.statistics
    assert counted.request_success >= kinds["NoneType"] and counted.pending_request_count == 0


def test_an_event_loop_can_wait_for_a_future():
    async def ask(batcher):
        return await asyncio.gather(*(asyncio.wrap_future(batcher.submit(x)) for x in range(10)))

    with ThreadedBatcher(lambda b: [x * x for x in b.payloads], DynamicBatcherConfig(max_batch_size=4)) as batcher:
        assert asyncio.run(ask(batcher)) == [x * x for x in range(10)]


def test_the_clock_is_the_one_it_was_given():
    now = [1_000]

    def clock():
        return now[0]

    config = DynamicBatcherConfig(max_batch_size=4, max_queue_delay_microseconds=10_000)
    with ThreadedBatcher(lambda batch: [batch.started_at for _ in batch.tickets], config, clock=clock) as batcher:
        first = batcher.submit("x")
        now[0] = 11_000
        batcher.submit("y")  # somebody comes, and the clock is looked at again
        assert first.result(MOMENT) == 11_000
