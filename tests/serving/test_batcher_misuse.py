"""Shapes, clocks and callbacks that are not what a batcher was promised: nobody may wait for ever because of them."""

import time

import numpy as np
import pytest
import torch

from minillm.errors import InvalidType
from minillm.serving.batching.config import DynamicBatcherConfig
from minillm.serving.batching.threads import ThreadedBatcher
from minillm.serving.dynamic_batcher import DynamicBatcher

ONE = DynamicBatcherConfig(max_batch_size=1)


def answers(batch):
    return list(batch.payloads)


@pytest.mark.parametrize("shape", [np.array([1, 2]), [1, 2], {}, (1, [2]), torch.tensor([1, 2])])
def test_a_shape_that_cannot_be_compared_is_refused_when_it_comes(shape):
    batcher = DynamicBatcher(DynamicBatcherConfig(max_batch_size=4))
    with pytest.raises(InvalidType, match="shape"):
        batcher.submit("a", 0, shape=shape)
    assert batcher.is_idle and batcher.now < 0
    with ThreadedBatcher(answers, DynamicBatcherConfig(max_batch_size=4)) as threads:
        with pytest.raises(InvalidType, match="shape"):
            threads.submit("a", shape=shape)
        assert threads.submit("b").result(5) == "b"


def test_a_clock_that_goes_backwards_hangs_nobody():
    ticks = iter(range(10_000, 0, -1))
    batcher = ThreadedBatcher(answers, ONE, clock=lambda: next(ticks))
    assert [batcher.submit(number).result(5) for number in range(5)] == list(range(5))
    assert batcher.close(timeout=5)


@pytest.mark.parametrize("error", [ValueError, SystemExit, KeyboardInterrupt])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_callback_that_raises_hangs_nobody(error):
    def slow(batch):
        time.sleep(0.02)
        return answers(batch)

    def raises(future):
        raise error

    batcher = ThreadedBatcher(slow, ONE)
    batcher.submit(1).add_done_callback(raises)
    assert batcher.submit(2).result(5) == 2
    assert batcher.close(timeout=5)
