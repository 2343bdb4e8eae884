"""Send kernels to child processes that compile them, and keep the answers on disk.

The child may crash, hang or be slow; the caller gets an answer for every job all the same, and goes on. An answer is
kept under a name made of everything that went into it, so asking twice costs nothing.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import pickle
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from minillm.kernels import compile_child
from minillm.kernels.compile_child import Job

KEPT_ANSWERS = 1200  # of some 90 KB; the tests ask for about 300, and checkouts share what they have in common
POLL_SECONDS = 0.02

Answer = dict[str, Any]


def answer_all(
    jobs: Sequence[Job],
    *,
    processes: int = 1,
    timeout_s: float = 180.0,
    report: Callable[[int, int], None] | None = None,
) -> list[Answer]:
    """One answer a job, in order: from the disk, or from `processes` child processes; `timeout_s` is for each job.

    `report(done, total)` is called as answers come in. An answer holds "ok", and then the stages and resources or "error".
    """
    names = [fingerprint(job) for job in jobs]
    answers = {name: kept for name in names if (kept := _read(name)) is not None}
    missing = {name: job for name, job in zip(names, jobs, strict=True) if name not in answers}
    ordered = list(missing.items())
    shares = [ordered[start::processes] for start in range(processes)]
    workers = [_Worker(share, timeout_s) for share in shares if share]
    try:
        while any(worker.busy for worker in workers):
            time.sleep(POLL_SECONDS)
            for worker in workers:
                fresh = worker.collect()
                answers.update(fresh)
                if fresh and report:
                    report(len(answers), len(set(names)))
    finally:
        for worker in workers:
            worker.close()
    for name in missing:
        if answers[name]["ok"]:
            _keep(name, answers[name])
    return [answers[name] for name in names]


class _Worker:
    """One child process after another, until each job of its share has an answer."""

    def __init__(self, jobs: list[tuple[str, Job]], timeout_s: float) -> None:
        self.waiting = [(str(number), name) for number, (name, _) in enumerate(jobs)]
        self.timeout_s = timeout_s
        self.room = tempfile.TemporaryDirectory(prefix="minillm-compile-", ignore_cleanup_errors=True)
        self.folder = Path(self.room.name)
        for number, (_, job) in enumerate(jobs):
            (self.folder / f"{number}.pickle").write_bytes(pickle.dumps(job))
        self.child = self._start()

    @property
    def busy(self) -> bool:
        return bool(self.waiting)

    def _start(self) -> subprocess.Popen[bytes]:
        self.since = time.monotonic()
        command = [sys.executable, "-P", "-m", compile_child.__name__, *(number for number, _ in self.waiting)]
        with open(self.folder / "stderr", "ab") as diagnostics:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=child_environment(self.folder) | COMPILING,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=diagnostics,
                start_new_session=True,
            )

    def collect(self) -> dict[str, Answer]:
        """What has been answered since the last call; a child that died or hangs answers for the job it was at."""
        ended = self.child.poll() is not None  # asked first: all that an ended child wrote is there to be read
        fresh = {}
        while self.waiting and (file := self.folder / f"{self.waiting[0][0]}.json").exists():
            fresh[self.waiting.pop(0)[1]] = json.loads(file.read_text(encoding="utf-8"))
            self.since = time.monotonic()
        late = time.monotonic() - self.since > self.timeout_s
        if self.waiting and not fresh and (ended or late):
            self.close_child()
            fresh[self.waiting.pop(0)[1]] = {"ok": False, "error": self._last_words(late and not ended)}
            if self.waiting:
                self.child = self._start()
        return fresh

    def _last_words(self, late: bool) -> str:
        if late:
            return f"no answer after {self.timeout_s:g} s; the compiler was stopped"
        status = self.child.returncode
        how = f"by {signal.Signals(-status).name}" if status < 0 else f"with status {status}"
        said = (self.folder / "stderr").read_text(encoding="utf-8", errors="replace").strip().splitlines()[-3:]
        return "\n".join([f"the compiler's process was ended {how}", *(line[:300] for line in said)])

    def close_child(self) -> None:
        if self.child.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.child.pid, signal.SIGKILL)  # with the assembler it may be waiting for
        self.child.wait()

    def close(self) -> None:
        self.close_child()
        self.room.cleanup()


COMPILING = {
    "MINILLM_COMPILE_ONLY": "1",
    "TRITON_ALWAYS_COMPILE": "1",  # the assembler's remarks are only there when it runs
    "TRITON_DUMP_PTXAS_LOG": "1",
    "TRITON_DISABLE_LINE_INFO": "0",
}


def child_environment(folder: Path) -> dict[str, str]:
    """This process's environment for a child that works in `folder`: the same imports, and no interpreter's switch."""
    environment = {name: value for name, value in os.environ.items() if name != "TRITON_INTERPRET"}
    paths = [os.path.abspath(path) for path in sys.path]
    return environment | {
        "PYTHONPATH": os.pathsep.join(paths),
        "TMPDIR": str(folder),
        "TRITON_CACHE_DIR": str(folder / "cache"),
    }


def fingerprint(job: Job) -> str:
    """A name for all that an answer depends on: the texts, the arguments, Triton, and the code that asks."""
    import triton

    tools = sorted((name, value) for name, value in os.environ.items() if name.startswith("TRITON_PTXAS"))
    code = Path(compile_child.__file__).read_text(encoding="utf-8")
    return hashlib.sha256(repr((job, triton.__version__, tools, code)).encode()).hexdigest()[:40]


def cache_folder() -> Path:
    """Where answers are kept: below Triton's own cache, or the temporary folder if that cannot be written."""
    home = os.environ.get("TRITON_HOME") or Path.home()
    for root in (os.environ.get("TRITON_CACHE_DIR") or Path(home) / ".triton" / "cache", tempfile.gettempdir()):
        folder = Path(root) / "minillm-inspect"
        with contextlib.suppress(OSError):
            folder.mkdir(parents=True, exist_ok=True)
            if os.access(folder, os.W_OK):
                return folder
    return Path(tempfile.gettempdir())


def _read(name: str) -> Answer | None:
    try:
        return json.loads(gzip.decompress((cache_folder() / f"{name}.json.gz").read_bytes()))
    except (OSError, EOFError, ValueError, gzip.zlib.error):  # type: ignore[attr-defined]
        return None


def _keep(name: str, answer: Answer) -> None:
    folder = cache_folder()
    partial = folder / f"{name}.{os.getpid()}"
    with contextlib.suppress(OSError):  # a full disk costs time, not an answer
        partial.write_bytes(gzip.compress(json.dumps(answer).encode(), compresslevel=3))
        partial.rename(folder / f"{name}.json.gz")
        kept = sorted(folder.glob("*.json.gz"), key=lambda file: file.stat().st_mtime)
        for file in kept[:-KEPT_ANSWERS]:
            file.unlink(missing_ok=True)
