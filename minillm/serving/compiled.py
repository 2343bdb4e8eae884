"""Two loops in C, for whoever has a compiler: a row times a matrix, and a query against pages where they lie.

What a step of decoding on a processor waits for is memory: every weight once, and every key and value. Torch's own product of
one row leaves half of memory's speed unused, and its attention wants pages copied into a row first. `compiled.c` is what is
left when nothing but the reading remains. It is built when it is first asked for, by the machine's own C compiler and for its
own processor, which takes a second, and kept; nothing else depends on it.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from minillm.attention.pages import Pages
from minillm.cache.paged_batch import PagedBatch
from minillm.errors import Unsupported, rule_numbers_remedy
from minillm.measure.counters import charge

SOURCE = Path(__file__).with_name("compiled.c")
# No flag that lets sums be reordered: the exponential depends on their order. OpenMP's threads are those that torch has
# loaded, so the library is not linked to a second set of them.
FLAGS = ("-O3", "-march=native", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast")
WIDE = 16  # numbers in a vector of compiled.c


@cache
def library() -> ctypes.CDLL:
    """The two loops, built if they are not there. Raises Unsupported where there is no compiler, or none that can."""
    path = _folder() / f"loops-{_fingerprint()}.so"
    if not path.exists():
        _build(path)
    try:
        found = ctypes.CDLL(str(path))
    except OSError as error:
        raise _refusal(str(error)) from None
    number, pointer = ctypes.c_int64, ctypes.c_void_p
    found.one_row.argtypes = [pointer] * 4 + [ctypes.c_int]
    found.attend_pages.argtypes = (
        [pointer] * 6 + [number] * 6 + [ctypes.c_float, number, pointer, number, pointer, ctypes.c_int]
    )
    found.one_row.restype = found.attend_pages.restype = None
    return found


class _Matrix(ctypes.Structure):
    _fields_ = (("weight", ctypes.c_void_p), ("bias", ctypes.c_void_p), ("in", ctypes.c_int64), ("out", ctypes.c_int64))


class OneRow:
    """weight (out, in) and bias (out,) or None, contiguous float32 -> a product with one row. They are read as they are."""

    def __init__(self, weight: Tensor, bias: Tensor | None):
        self.kept = weight, bias  # as long as they are pointed to
        out, size = weight.shape
        self.matrix = _Matrix(weight.data_ptr(), None if bias is None else bias.data_ptr(), size, out)
        self.address, self.multiply = ctypes.addressof(self.matrix), library().one_row
        self.shape, self.cost = (1, out), (4 * (out + 1) * size, 4 * out, 2 * out * size)

    def __call__(self, x: Tensor, total: Tensor | None = None) -> Tensor:
        """x (1, in) and total (1, out), contiguous -> x @ weight.T + bias + total (1, out)."""
        y, added = x.new_empty(self.shape), None if total is None else total.data_ptr()
        self.multiply(self.address, x.data_ptr(), added, y.data_ptr(), torch.get_num_threads())
        loaded, stored, flops = self.cost
        charge(bytes_loaded=loaded, bytes_stored=stored, flops=flops)
        return y


def can_attend(batch: PagedBatch) -> bool:
    """Whether `Attention` can serve a batch: one query a text, float32 pages that are not quantised, heads of whole vectors."""
    pages = batch.cache.pages[0]
    plain = pages.k_scale is None and pages.k.dtype == torch.float32 and pages.k.device.type == "cpu"
    return plain and batch.max_query_len == 1 and pages.shape[-1] % WIDE == 0 and pages.k.is_contiguous()


class Attention:
    """One pass of `can_attend`: the new token of each of T texts against its pages, for every layer alike."""

    def __init__(self, batch: PagedBatch, num_heads: int):
        self.batch, self.heads = batch, num_heads
        ids = [block for blocks in batch.block_ids for block in blocks]
        starts = np.cumsum([0, *map(len, batch.block_ids)])[:-1]
        self.tables = tuple(np.array(x, dtype=np.int64) for x in (ids, starts, batch.lengths))
        self.room = num_heads * -(-batch.max_seq_len // WIDE) * WIDE
        self.threads = torch.get_num_threads()
        self.scores = torch.empty(self.threads * self.room, dtype=torch.float32)

    def attend(self, q: Tensor, pages: Pages, window: int | None) -> Tensor:
        """q (T, H, D) -> (T, H, D); the heads of a text lie one behind the other."""
        (T, H, D), (_, P, G, _) = q.shape, pages.shape
        out = q.new_empty((T, H, D))
        ids, starts, lengths = (table.ctypes.data for table in self.tables)
        library().attend_pages(
            q.data_ptr(), pages.k.data_ptr(), pages.v.data_ptr(), ids, starts, lengths, T, H, G, D, P, window or 0,
            D**-0.5, q.stride(0), self.scores.data_ptr(), self.room, out.data_ptr(), self.threads,
        )  # fmt: skip
        seen = sum(min(length, window or length) for length in self.batch.lengths)
        charge(bytes_loaded=q.nbytes + 8 * seen * G * D, bytes_stored=out.nbytes, flops=4 * seen * H * D)
        return out


def _folder() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "minillm"


def _fingerprint() -> str:
    """Of all that decides what the compiler makes: the source, the flags, the processor."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        processor = "".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))
    except OSError:
        processor = platform.processor()
    parts = (SOURCE.read_text(), *FLAGS, platform.platform(), platform.machine(), processor)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _build(path: Path) -> None:
    """Compile with OpenMP where the compiler has it; written under another name first, so that nobody loads half of it."""
    compiler = os.environ.get("CC") or next((c for c in ("cc", "gcc", "clang") if shutil.which(c)), None)
    if compiler is None or platform.system() == "Windows":
        raise _refusal(f"{platform.system()} without a C compiler")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:
            made, linked = Path(folder) / "loops.o", Path(folder) / "loops.so"
            for threads in (["-fopenmp"], []):
                done = _run(compiler, *FLAGS, *threads, "-c", str(SOURCE), "-o", str(made))
                if done.returncode == 0:
                    break
            if done.returncode == 0:
                undefined = ["-undefined", "dynamic_lookup"] if platform.system() == "Darwin" else []
                done = _run(compiler, "-shared", *undefined, str(made), "-o", str(linked), "-lm")
            if done.returncode:
                raise _refusal(done.stderr.strip().splitlines()[-1] if done.stderr.strip() else f"{compiler} failed")
            os.replace(linked, path)
    except OSError as error:
        raise _refusal(str(error)) from None


def _run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False)


def _refusal(found: str) -> Unsupported:
    rule = "the compiled loops need a C compiler that builds for this processor"
    return Unsupported(rule_numbers_remedy(rule, found, "install one, or use weights='auto'"))
