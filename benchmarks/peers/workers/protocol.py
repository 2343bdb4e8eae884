"""How a worker is spoken to: a JSON object a line on its input, and one answer a line on its output. Plain Python only.

    {"do": "load", "folder": …, "threads": 1, "dtype": "float32"}    -> {"versions": {…}}
    {"do": "run", "way": …, "requests": [[ids, how many], …]}        -> {"seconds": …, "cpu_seconds": …, "tokens": …}

What goes wrong is answered as {"error": …}, and the worker goes on. Whatever the engine prints goes to the error stream, so
it cannot be taken for an answer. A worker ends when its input does.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, TextIO

Ids = Sequence[int]
# All requests at once, [(ids, how many tokens), …] -> the tokens of each, in order.
Write = Callable[[Sequence[tuple[Ids, int]]], list[list[int]]]
# (folder, threads, dtype, rest of the command) -> the ways of writing that this engine has, by name.
Load = Callable[[str, int, str, dict[str, Any]], dict[str, Write]]


def serve(load: Load, packages: Sequence[str], orders: TextIO | None = None, answers: TextIO | None = None) -> None:
    """Answer one command after another until there are no more. Without streams: this process's own."""
    if answers is None:
        _end_with_parent()
        answers = _quiet_output()
    worker = _Worker(load, packages)
    for line in orders or sys.stdin:
        try:
            answer = worker.answer(json.loads(line))
        except Exception as problem:  # an engine may raise anything; the one who asked decides what to do
            traceback.print_exc()
            answer = {"error": f"{type(problem).__name__}: {problem}"}
        print(json.dumps(answer), file=answers, flush=True)


class _Worker:
    """An engine, once loaded."""

    def __init__(self, load: Load, packages: Sequence[str]):
        self.load, self.packages = load, packages
        self.ways: dict[str, Write] = {}

    def answer(self, order: dict[str, Any]) -> dict[str, Any]:
        """A command -> its answer. Raises ValueError for one that is not known, and what the engine raises."""
        if order["do"] == "load":
            self.ways = self.load(order["folder"], order["threads"], order["dtype"], order.get("options", {}))
            return {"versions": _versions(self.packages), "ways": list(self.ways)}
        if order["do"] == "run":
            write = self.ways[order["way"]]
            requests = [(ids, count) for ids, count in order["requests"]]
            begun, worked = time.perf_counter(), time.process_time()
            tokens = write(requests)
            taken = {"seconds": time.perf_counter() - begun, "cpu_seconds": time.process_time() - worked}
            return taken | {"tokens": [list(map(int, text)) for text in tokens]}
        raise ValueError(f"a worker can load and run; it was told to {order['do']!r}")


def _versions(packages: Sequence[str]) -> dict[str, str]:
    found = {}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _end_with_parent() -> None:
    """Linux ends this process when the one that started it is gone, also while this one is stopped and reads nothing."""
    if sys.platform == "linux":
        PR_SET_PDEATHSIG = 1
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _quiet_output() -> TextIO:
    """The real output for answers alone; everything else that this process prints, C++ included, becomes an error message."""
    real = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    return real
