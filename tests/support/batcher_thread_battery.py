"""What a batcher in threads must get right beside its core: nobody sleeps through a request, every future ends once.

Checks of promises that could hang wait for a moment and no longer. A moment is much longer than anything here should take.
"""

import contextlib
import threading
import time
from concurrent import futures

from batcher_battery import refused, same

CHECKS = {}
MOMENT = 2.0


def check(function):
    CHECKS[function.__name__] = function
    return function


class Office:
    """A threaded batcher around a model that doubles; it closes, turning away, when the check is over."""

    def __init__(self, house, model=None, most=4, **settings):
        config = house.DynamicBatcherConfig(max_batch_size=most, **settings)
        self.batcher = house.ThreadedBatcher(model or (lambda batch: [2 * x for x in batch.payloads]), config)

    def __enter__(self):
        return self.batcher

    def __exit__(self, *_):
        threading.Thread(target=lambda: self.batcher.close(drain=False, timeout=0), daemon=True).start()


def result(future):
    """A future's result or its error's name; "nothing" if it doesn't end within a moment."""
    try:
        return future.result(MOMENT)
    except futures.TimeoutError:
        return "timed out" if future.done() else "nothing"
    except futures.CancelledError:
        return "cancelled"
    except BaseException as error:
        return type(error).__name__


def results(list_of_futures):
    futures.wait(list_of_futures, MOMENT)
    return [result(f) if f.done() else "nothing" for f in list_of_futures]


class Gate:
    """A model that waits until it is let go, and says when it was reached."""

    def __init__(self):
        self.reached, self.open, self.batches = threading.Event(), threading.Event(), []

    def __call__(self, batch):
        self.batches.append(batch.payloads)
        self.reached.set()
        self.open.wait(5)
        return [2 * x for x in batch.payloads]


@check
def a_request_wakes_the_sleeper(house):
    with Office(house) as batcher:
        time.sleep(0.02)
        same(result(batcher.submit(3)), 6)
        time.sleep(0.02)
        same(result(batcher.submit(4)), 8)


@check
def a_lonely_request_leaves_when_its_wait_is_over(house):
    with Office(house, max_queue_delay_microseconds=20_000) as batcher:
        start = time.monotonic()
        same(result(batcher.submit(3)), 6)
        assert time.monotonic() - start >= 0.015, "it left early"


@check
def whoever_gets_free_takes_the_next_batch(house):
    gate = Gate()
    with Office(house, gate, most=2) as batcher:
        first = batcher.submit(0)
        assert gate.reached.wait(MOMENT)
        rest = [batcher.submit(x) for x in (1, 2, 3)]
        gate.open.set()
        same(results([first, *rest]), [0, 2, 4, 6])
        same(gate.batches, [[0], [1, 2], [3]])


@check
def many_threads_get_their_own_answers(house):
    answers = {}

    def caller(name):
        answers[name] = [result(batcher.submit(name * 100 + i)) for i in range(15)]

    with Office(house, max_queue_delay_microseconds=300, num_batch_threads=3) as batcher:
        callers = [threading.Thread(target=caller, args=(name,), daemon=True) for name in range(8)]
        for thread in callers:
            thread.start()
        for thread in callers:
            thread.join(2 * MOMENT)
        same(answers, {name: [2 * (name * 100 + i) for i in range(15)] for name in range(8)})
        same((batcher.statistics.inference_count, batcher.statistics.pending_request_count), (120, 0))


@check
def the_model_runs_on_as_many_threads_as_were_asked(house):
    together = threading.Barrier(3)

    def model(batch):
        together.wait(MOMENT)
        return batch.payloads

    with Office(house, model, most=1, num_batch_threads=3) as batcher:
        same(results([batcher.submit(x) for x in range(3)]), [0, 1, 2])


@check
def what_the_model_raises_reaches_its_futures(house):
    def model(batch):
        if batch.payloads[0] == 1:
            raise ZeroDivisionError
        if batch.payloads[0] == 2:
            raise SystemExit
        return batch.payloads if batch.payloads[0] != 3 else batch.payloads * 2

    with Office(house, model, most=1) as batcher:
        got = results([batcher.submit(x) for x in range(5)])
        same(got, [0, "ZeroDivisionError", "SystemExit", "InvalidValue", 4])


@check
def a_cancelled_future_is_never_computed(house):
    gate = Gate()
    with Office(house, gate, most=4) as batcher:
        first = batcher.submit(0)
        assert gate.reached.wait(MOMENT)
        rest = [batcher.submit(x) for x in (1, 2, 3)]
        same((rest[1].cancel(), first.cancel()), (True, False))
        done, _ = futures.wait([rest[1]], MOMENT)
        assert done, "those who wait for a cancelled future were not told"
        same(batcher.statistics.pending_request_count, 2)
        gate.open.set()
        same(results([first, *rest]), [0, 2, "cancelled", 6])
        same(gate.batches, [[0], [1, 3]])


@check
def time_runs_out_while_the_model_is_busy(house):
    gate, limit = Gate(), house.QueuePolicy(default_timeout_microseconds=20_000)
    with Office(house, gate, default_queue_policy=limit) as batcher:
        first = batcher.submit(0)
        assert gate.reached.wait(MOMENT)
        same(result(batcher.submit(1)), "timed out")
        gate.open.set()
        same(result(first), 0)


@check
def leaving_drains(house):
    gate = Gate()
    office = Office(house, gate, most=2, max_queue_delay_microseconds=10_000_000)
    every = [office.batcher.submit(x) for x in range(5)]
    gate.open.set()
    assert office.batcher.close(timeout=MOMENT), "the threads did not end"
    same(results(every), [0, 2, 4, 6, 8])
    refused(lambda: office.batcher.submit(9), house.BatcherClosed)
    assert office.batcher.close(timeout=MOMENT)


@check
def closing_turns_away_those_who_wait(house):
    gate = Gate()
    office = Office(house, gate, most=1)
    every = [office.batcher.submit(x) for x in range(3)]
    assert gate.reached.wait(MOMENT)
    closer = threading.Thread(target=lambda: office.batcher.close(drain=False), daemon=True)
    closer.start()
    same(results(every[1:]), ["BatcherClosed"] * 2)
    gate.open.set()
    closer.join(MOMENT)
    same((result(every[0]), closer.is_alive()), (0, False))


@check
def futures_end_in_order(house):
    ended, nap = [], (0.03, 0.0, 0.02, 0.0, 0.01, 0.0)

    def model(batch):
        time.sleep(nap[batch.payloads[0]])
        return batch.payloads

    with Office(house, model, most=1, num_batch_threads=3, preserve_ordering=True) as batcher:
        every = [batcher.submit(x) for x in range(6)]
        for future in every:
            future.add_done_callback(lambda done: ended.append(done.exception() or done.result()))
        until = time.monotonic() + MOMENT
        while len(ended) < 6 and time.monotonic() < until:
            time.sleep(0.001)
        same(ended, list(range(6)))


@check
def a_model_and_a_callback_may_submit(house):
    more = []

    def model(batch):
        more.extend(batcher.submit(x - 1) for x in batch.payloads if x)
        return batch.payloads

    def submit_more(done):
        with contextlib.suppress(house.BatcherClosed):
            more.append(batcher.submit(0))

    with Office(house, model) as batcher:
        first = batcher.submit(2)
        first.add_done_callback(submit_more)
        same(result(first), 2)
        for wanted in (2, 3):
            until = time.monotonic() + MOMENT
            while len(more) < wanted and time.monotonic() < until:
                time.sleep(0.001)
        same(sorted(results(more)), [0, 0, 1])


@check
def wrong_calls_are_refused_at_once(house):
    with Office(house, most=2) as batcher:
        for options in (dict(size=3), dict(size=0), dict(priority=1), dict(timeout_microseconds=5)):
            refused(lambda options=options: batcher.submit(0, **options))
        same(result(batcher.submit(1)), 2)
    refused(lambda: house.ThreadedBatcher(None, house.DynamicBatcherConfig(max_batch_size=1)))
    refused(lambda: house.ThreadedBatcher(len, 5))
