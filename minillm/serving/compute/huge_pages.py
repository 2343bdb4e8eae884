"""Ask the system to keep what is read at every step in large pages of memory.

A processor looks up where each 4 KiB page of memory is, and reading a model's weights once a token is a hundred thousand such
questions. Linux can keep memory in pages of 2 MiB instead, if it is told that they are worth it. It is a hint: where it is
not understood, nothing happens.
"""

from __future__ import annotations

import ctypes
import mmap
import sys
from functools import cache

import torch
from torch import Tensor

HUGE = 2**21  # bytes of a large page, on x86-64 and most of ARM
MADV_HUGEPAGE, MADV_COLLAPSE = 14, 25  # "when it is next touched" and, from Linux 6.1 on, "now"


def hold_in_huge_pages(weight: Tensor) -> Tensor:
    """-> the same weight, in the processor's memory or packed by oneDNN; its numbers stay where they are."""
    call = _madvise()
    if call is None or weight.device.type != "cpu":
        return weight
    if weight.is_mkldnn:
        start, size = torch.ops.mkldnn.data_ptr.default(weight), torch.ops.mkldnn._nbytes.default(weight)
    else:
        start, size = weight.data_ptr(), weight.nbytes
    first, last = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE, (start + size) // mmap.PAGESIZE * mmap.PAGESIZE
    if last - first >= HUGE:
        call(first, last - first, MADV_HUGEPAGE)
        call(first, last - first, MADV_COLLAPSE)
    return weight


@cache
def _madvise() -> ctypes._NamedFuncPointer | None:
    if sys.platform != "linux":
        return None
    found = ctypes.CDLL(None).madvise
    found.argtypes, found.restype = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int], ctypes.c_int
    return found
