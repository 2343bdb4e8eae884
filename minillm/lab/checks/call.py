"""Calling a learner's function safely: on copies of the inputs, within a time limit, and without losing anything.

Whatever the function does (raise, edit its inputs, never return, reseed the world), the caller gets an `Outcome` or one
exception, `LearnerFault`, whose finding is already worded for the learner. Everything global is put back afterwards.
"""

from __future__ import annotations

import contextlib
import copy
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

import numpy as np
import torch

from minillm.lab.checks.fault import is_stub_error, raised_finding
from minillm.lab.checks.result import Finding
from minillm.lab.checks.watch import Watch


class LearnerFault(Exception):
    """The learner's function could not be used; `finding` says why in the learner's terms."""

    def __init__(self, finding: Finding, not_attempted: bool = False) -> None:
        super().__init__(finding.meaning)
        self.finding = finding
        self.not_attempted = not_attempted


class _OutOfTime(BaseException):
    """Raised by the alarm inside the learner's code; not an Exception, so `except Exception` cannot swallow it."""


@dataclass(frozen=True)
class Given:
    """The inputs of one call, as a case made them."""

    args: tuple[Any, ...] = ()
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Outcome:
    """What one call returned, which inputs it edited, which it shares memory with, and what was counted."""

    result: Any
    edited: tuple[str, ...]
    shared: tuple[str, ...]
    counters: Any = None


class LearnerCall:
    """Call `function` again and again within `time_limit` seconds in all; `names` are its parameters, in order.

    The limit uses an alarm signal, so it holds on the main thread of Linux and macOS; elsewhere there is none, and one
    long library call is interrupted only when it returns.
    """

    def __init__(
        self, function: Callable, names: tuple[str, ...] = (), forbid: tuple[str, ...] = (), time_limit: float = 30.0
    ):
        self.function = function
        self.names = names
        self.forbid = forbid
        self.seconds_left = time_limit
        self.time_limit = time_limit
        self.calls = 0
        self.last_given = Given()

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """The result alone, for properties that combine several calls."""
        return self.observe(Given(args, kwargs)).result

    def observe(self, given: Given, count: Callable[[], contextlib.AbstractContextManager] | None = None) -> Outcome:
        """Call on deep copies of `given` (strides kept) and compare the copies with the originals afterwards.

        `count` makes a context around the learner's call alone; what it yields is the outcome's `counters`.
        """
        args, kwargs = copy.deepcopy((given.args, given.kwargs))
        self.calls += 1
        self.last_given = given
        watch, counters = Watch(self.forbid), None

        def work() -> Any:
            nonlocal counters
            with watch, count() if count else contextlib.nullcontext() as counters:
                return self.function(*args, **kwargs)

        result = self.guard(work)
        if watch.forbidden_seen:
            raise LearnerFault(_forbidden(watch.forbidden_seen))
        before = _tensors(given, self.names)
        after = _tensors(Given(args, kwargs), self.names)
        edited = tuple(name for name in before if not _identical(before[name], after[name]))
        return Outcome(result, edited, _shared(result, after), counters)

    def guard(self, work: Callable[[], Any]) -> Any:
        """The result of `work()`, which runs the learner's code within the time left; LearnerFault for any trouble."""
        left, started = self.seconds_left, time.monotonic()
        try:
            with _untouched_state(), _alarm(left):
                return work()
        except (LearnerFault, KeyboardInterrupt):
            raise
        except _OutOfTime:
            meaning = (
                f"The function did not return within {self.time_limit:g} seconds: is there a loop that never ends?"
            )
            raise LearnerFault(Finding(meaning)) from None
        except BaseException as error:
            # SystemExit too: an `exit()` in a cell must not end the check.
            raise LearnerFault(raised_finding(error), not_attempted=self.calls <= 1 and is_stub_error(error)) from None
        finally:
            # From `left`, not from what an inner call made of it: a law and the calls it makes share their time.
            self.seconds_left = max(left - (time.monotonic() - started), 0.1)


@contextlib.contextmanager
def _alarm(seconds: float) -> Iterator[None]:
    """Raise `_OutOfTime` in the body after `seconds`, and again each second in case a bare `except:` swallowed it."""
    if not hasattr(signal, "setitimer") or threading.current_thread() is not threading.main_thread():
        yield
        return
    armed = True

    def ring(_signal: int, _frame: FrameType | None) -> None:
        if armed:
            raise _OutOfTime

    previous = signal.signal(signal.SIGALRM, ring)
    remaining, interval = signal.setitimer(signal.ITIMER_REAL, seconds, 1.0)
    try:
        yield
    finally:
        # In this order no alarm of ours can reach the handler that was there before, nor the other way round.
        armed = False
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
        if remaining:
            signal.setitimer(signal.ITIMER_REAL, remaining, interval)


@contextlib.contextmanager
def _untouched_state() -> Iterator[None]:
    """Put back the random generators, gradient mode and default dtype, whatever the body did to them."""
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002
    grad, dtype = torch.is_grad_enabled(), torch.get_default_dtype()
    try:
        with torch.random.fork_rng(devices=[]), torch.set_grad_enabled(grad):
            yield
    finally:
        torch.set_default_dtype(dtype)
        random.setstate(python_state)
        np.random.set_state(numpy_state)  # noqa: NPY002


def _tensors(given: Given, names: tuple[str, ...]) -> dict[str, torch.Tensor]:
    """Every tensor among the inputs, by the name the learner knows it by: `q`, or `cache[1]` inside a list."""
    found: dict[str, torch.Tensor] = {}

    def visit(name: str, value: Any) -> None:
        if isinstance(value, torch.Tensor):
            found[name] = value
        elif isinstance(value, (list, tuple)):
            for i, item in enumerate(value):
                visit(f"{name}[{i}]", item)
        elif isinstance(value, dict):
            for key, item in value.items():
                visit(f"{name}[{key!r}]", item)

    for i, value in enumerate(given.args):
        visit(names[i] if i < len(names) else f"argument {i}", value)
    for name, value in given.kwargs.items():
        visit(name, value)
    return found


def _identical(before: torch.Tensor, after: torch.Tensor) -> bool:
    """Same shape, strides, dtype and numbers, NaN for NaN."""
    same_form = (before.shape, before.stride(), before.dtype) == (after.shape, after.stride(), after.dtype)
    return same_form and torch.allclose(before.detach(), after.detach(), rtol=0, atol=0, equal_nan=True)


def _shared(result: Any, inputs: dict[str, torch.Tensor]) -> tuple[str, ...]:
    parts = [result] if isinstance(result, torch.Tensor) else list(result) if isinstance(result, (list, tuple)) else []
    held = {t.untyped_storage().data_ptr() for t in parts if isinstance(t, torch.Tensor) and t.layout == torch.strided}
    return tuple(name for name, t in inputs.items() if t.numel() and t.untyped_storage().data_ptr() in held)


def _forbidden(seen: str) -> Finding:
    meaning = (
        f"This exercise asks you to write it yourself: `{seen}` already is the answer, so build it from smaller steps."
    )
    return Finding(meaning, (("called", seen),), layer="contract")
