"""An engine in a process of its own: started with its threads and cores, spoken to line by line, stopped between its turns.

A process that is stopped cannot spin, collect garbage or page, so the one whose turn it is has the machine to itself.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
PATIENCE = 900.0  # seconds for one answer; a cold compiler needs minutes


class WorkerFailed(Exception):
    """What a worker answered instead of a result, or how it ended."""


class Turn(NamedTuple):
    """What one run took and wrote, and how many cores other processes used meanwhile (None where that cannot be known)."""

    seconds: float
    tokens: list[list[int]]
    others: float | None


class WorkerProcess:
    """A worker script run by `python`, with so many threads, and a library loaded first, if any.

    Use as a context. Raises WorkerFailed for whatever goes wrong.
    """

    def __init__(self, python: Path | str, script: Path, threads: int, preload: str | None = None):
        self.preload = preload
        self.log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 (closed when the worker is)
        path = os.pathsep.join(str(p) for p in (HERE.parent / "serving", HERE / "workers"))
        environment = {
            **os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": str(threads), "MKL_NUM_THREADS": str(threads),
            "TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1",
        }  # fmt: skip
        if preload is not None:
            environment["LD_PRELOAD"] = preload
        with _on_cores(threads):
            self.process = subprocess.Popen(
                [str(python), str(script)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.log, text=True,
                env=environment, start_new_session=True,
            )  # fmt: skip

    def __enter__(self) -> WorkerProcess:
        return self

    def __exit__(self, *exception: object) -> None:
        """End it and whatever it started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.log):
            with contextlib.suppress(OSError):
                stream.close()  # type: ignore[union-attr]

    def load(self, folder: Path, threads: int, dtype: str, options: dict[str, Any] | None = None) -> dict[str, str]:
        """Load a checkpoint -> the versions of what the engine is made of; the worker then waits, stopped."""
        order = {"do": "load", "folder": str(folder), "threads": threads, "dtype": dtype, "options": options or {}}
        return dict(self._ask(order)["versions"])

    def write(self, way: str, requests: Sequence[tuple[Sequence[int], int]]) -> Turn:
        """Let it write all requests in one of its ways."""
        before = _busy_seconds()
        answer = self._ask({"do": "run", "way": way, "requests": [[list(ids), count] for ids, count in requests]})
        after = _busy_seconds()
        seconds, own = answer["seconds"], answer["cpu_seconds"]
        others = None if before is None or after is None else max(0.0, after - before - own) / seconds
        return Turn(seconds, answer["tokens"], others)

    def _ask(self, order: dict[str, Any]) -> dict[str, Any]:
        assert self.process.stdin is not None and self.process.stdout is not None
        try:
            os.killpg(self.process.pid, signal.SIGCONT)
            self.process.stdin.write(json.dumps(order) + "\n")
            self.process.stdin.flush()
            ready, _, _ = select.select([self.process.stdout], [], [], PATIENCE)
            line = self.process.stdout.readline() if ready else ""
        except (BrokenPipeError, ProcessLookupError):
            line, ready = "", True
        if not line:
            raise WorkerFailed(self._last_words() if ready else f"no answer in {PATIENCE:.0f} s")
        os.killpg(self.process.pid, signal.SIGSTOP)
        answer = json.loads(line)
        if "error" in answer:
            raise WorkerFailed(answer["error"])
        return answer

    def _last_words(self) -> str:
        self.log.seek(0)
        lines = [line.strip() for line in self.log if line.strip()]
        return f"it ended: {lines[-1]}" if lines else "it ended without a word"


def _busy_seconds() -> float | None:
    """Processor time that anything on this machine has used, or that was taken from it; None where Linux does not say."""
    try:
        user, nice, system, _, _, irq, softirq, steal, *_ = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    except OSError:
        return None
    return sum(map(int, (user, nice, system, irq, softirq, steal))) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def _on_cores(count: int) -> Iterator[None]:
    """What is started here runs on the first `count` cores, where an operating system lets one choose."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, sorted(before)[:count])
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
