"""The loops in C, built when they are first asked for, by the machine's own compiler and for its own processor, and kept.

It takes a few seconds, once; nothing else depends on it. See `compiled.py` for what the loops are for.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch  # noqa: F401  the loops run on its threads

from minillm.errors import Unsupported, rule_numbers_remedy

FOLDER = Path(__file__).parent
# No flag that lets sums be reordered: the exponential depends on their order, and so does a row's being the same in any
# company. OpenMP's threads are those that torch has loaded, so the library is not linked to a second set of them.
FLAGS = ("-O3", "-march=native", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast")
SHARED = ("-undefined", "dynamic_lookup") if platform.system() == "Darwin" else ()


@cache
def library() -> ctypes.CDLL:
    """The loops, built if they are not there. Raises Unsupported where there is no compiler, or none that can."""
    compiler = _compiler()
    path = _folder() / f"loops-{_fingerprint(compiler)}.so"
    if not path.exists():
        _build(path, compiler)
    try:
        found = ctypes.CDLL(str(path))
    except OSError as error:
        raise _refusal(str(error)) from None
    number: type[Any] = ctypes.c_int64
    pointer: type[Any] = ctypes.c_void_p
    single: type[Any] = ctypes.c_float
    found.times_panels.argtypes = [
        pointer, pointer, number, single, pointer, pointer, number, pointer, pointer, ctypes.c_int,
    ]  # fmt: skip
    found.attend_pages.argtypes = (
        [pointer] * 6 + [number] * 6 + [single, number, pointer, number, pointer, ctypes.c_int]
    )
    found.keep.argtypes = [pointer, number] * 2 + [pointer, number, number, pointer, pointer]
    found.turn.argtypes = [pointer, number, pointer, pointer] + [number] * 4 + [ctypes.c_int]
    found.panel_width.argtypes = found.is_threaded.argtypes = found.knows_halves.argtypes = []
    for loop in (found.times_panels, found.attend_pages, found.keep, found.turn):
        loop.restype = None
    return found


def sources() -> list[Path]:
    """The files of C."""
    return sorted(FOLDER.glob("*.c"))


def _folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home).absolute() / "minillm"


def _compiler() -> list[str]:
    """The command that compiles: what CC says, or the first that is there."""
    try:
        named = shlex.split(os.environ.get("CC", "")) or [c for c in ("cc", "gcc", "clang") if shutil.which(c)][:1]
    except ValueError as error:
        raise _refusal(f"CC={os.environ['CC']} ({error})") from None
    if not named or platform.system() == "Windows":
        raise _refusal(f"{platform.system()} without a C compiler")
    return named


def _fingerprint(compiler: list[str]) -> str:
    """Of all that decides what is made: the source, the compiler, the flags, the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    except OSError:
        processor = platform.processor()
    parts = (
        *(file.read_text() for file in sorted(FOLDER.glob("*.[ch]"))),
        os.path.realpath(shutil.which(compiler[0]) or ""),
        *compiler[1:],
        *FLAGS,
        platform.platform(),
        platform.machine(),
        processor,
    )
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _build(path: Path, compiler: list[str]) -> None:
    """Compile with OpenMP where the compiler has it; written under another name first, so that nobody loads half of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            files, linked = [str(file) for file in sources()], Path(folder) / "loops.so"
            for threads in (["-fopenmp"], []):
                done = _run(folder, *compiler, *FLAGS, *threads, "-c", *files)
                if done.returncode == 0:
                    made = [str(file) for file in Path(folder).glob("*.o")]
                    done = _run(folder, *compiler, "-shared", *SHARED, *made, "-o", str(linked), "-lm")
                if done.returncode == 0 and _loads(linked):
                    break
            if done.returncode:
                raise _refusal(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"{compiler[0]} failed")
            os.replace(linked, path)
    except OSError as error:
        raise _refusal(str(error)) from None


def _loads(file: Path) -> bool:
    """Whether all that the file asks for is there: Clang's OpenMP is not the one that torch brings along on Linux."""
    try:
        ctypes.CDLL(str(file))
    except OSError:
        return False
    return True


def _run(folder: str, *command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def _refusal(found: str) -> Unsupported:
    rule = "the compiled loops need a C compiler that builds for this processor"
    return Unsupported(rule_numbers_remedy(rule, found, "install one, or use weights='auto'"))
