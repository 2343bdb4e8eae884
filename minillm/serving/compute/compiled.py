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

from minillm.attention.paged import attend_paged
from minillm.attention.paged_plan import PagedPlan
from minillm.attention.pages import Pages
from minillm.cache.paged_batch import PagedBatch
from minillm.errors import Unsupported, rule_numbers_remedy
from minillm.measure.counters import charge

SOURCE = Path(__file__).with_name("compiled.c")
# No flag that lets sums be reordered: the exponential depends on their order. OpenMP's threads are those that torch has
# loaded, so the library is not linked to a second set of them.
FLAGS = ("-O3", "-march=native", "-fPIC", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=fast")
WIDE = 16  # numbers in a vector of compiled.c
# The loop takes a text's queries one by one; where there are more of them, torch reads each key once for all.
MOST_QUERIES = 4


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
    """Whether `Attention` can serve a batch: a text of few queries, float32 pages not quantised, heads of whole vectors."""
    pages = batch.cache.pages[0]
    plain = pages.k_scale is None and pages.k.dtype == torch.float32 and pages.k.device.type == "cpu"
    return plain and min(batch.counts) <= MOST_QUERIES and pages.shape[-1] % WIDE == 0 and pages.k.is_contiguous()


class Attention:
    """One pass of `can_attend`, for every layer alike: the loop for texts of few queries, torch for those of many.

    To the loop each query is a text of its own, which ends where the query stands.
    """

    def __init__(self, batch: PagedBatch, num_heads: int):
        self.scratch, self.threads = batch.cache.scratch, torch.get_num_threads()
        self.rest: PagedPlan | None = None
        texts = list(zip(batch.counts, batch.lengths, batch.block_ids, strict=True))
        if batch.max_query_len > MOST_QUERIES:
            queries = torch.tensor(batch.counts)
            is_few = (queries <= MOST_QUERIES).repeat_interleave(queries)
            self.few, self.many = is_few.nonzero()[:, 0], (~is_few).nonzero()[:, 0]
            long = [text for text in texts if text[0] > MOST_QUERIES]
            counts, lengths, tables = zip(*long, strict=True)
            self.rest = PagedPlan(counts, lengths, tables, batch.cache.pool.block_size)
            texts = [text for text in texts if text[0] <= MOST_QUERIES]
        ids: list[int] = []
        starts: list[int] = []
        self.lengths: list[int] = []
        for count, length, blocks in texts:
            starts += [len(ids)] * count
            self.lengths += range(length - count + 1, length + 1)
            ids += blocks
        self.tables = tuple(np.array(x, dtype=np.int64) for x in (ids, starts, self.lengths))
        self.room = num_heads * -(-max(self.lengths) // WIDE) * WIDE
        self.scores = torch.empty(self.threads * self.room, dtype=torch.float32)

    def attend(self, q: Tensor, pages: Pages, window: int | None) -> Tensor:
        """q (T, H, D) -> (T, H, D); the heads of a text lie one behind the other."""
        if self.rest is None:
            return self._attend_few(q, pages, window)
        rest = attend_paged(q.index_select(0, self.many), pages, self.rest, self.scratch, window=window)
        out = torch.empty_like(q).index_copy_(0, self.many, rest)
        return out.index_copy_(0, self.few, self._attend_few(q.index_select(0, self.few), pages, window))

    def _attend_few(self, q: Tensor, pages: Pages, window: int | None) -> Tensor:
        (T, H, D), (_, P, G, _) = q.shape, pages.shape
        out = q.new_empty((T, H, D))
        ids, starts, lengths = (table.ctypes.data for table in self.tables)
        library().attend_pages(
            q.data_ptr(), pages.k.data_ptr(), pages.v.data_ptr(), ids, starts, lengths, T, H, G, D, P, window or 0,
            D**-0.5, q.stride(0), self.scores.data_ptr(), self.room, out.data_ptr(), self.threads,
        )  # fmt: skip
        seen = sum(min(length, window or length) for length in self.lengths)
        charge(bytes_loaded=4 * T * H * D + 8 * seen * G * D, bytes_stored=out.nbytes, flops=4 * seen * H * D)
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
