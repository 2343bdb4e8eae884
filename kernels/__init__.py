"""Triton kernels, one idea a file, installed as `minillm.kernels`.

They compile on a GPU and are interpreted on a CPU, with nothing to choose; `mode()` tells which, and why. Where Triton is
absent every name can still be read, and calling one says what to use instead. `inspect` compiles any of them for a GPU
that nobody has.
"""

import sys
import types
from typing import Any

from minillm._doors import open_door

_NAMES = {
    "flash_attention": "minillm.kernels.flash_attention",
    "flash_attention_varlen": "minillm.kernels.flash_attention_varlen",
    "flash_backward": "minillm.kernels.flash_backward",
    "flash_decode": "minillm.kernels.flash_decode",
    "inspect": "minillm.kernels.inspect:",
    "kv_write": "minillm.kernels.kv_write",
    "matmul": "minillm.kernels.matmul",
    "merge_states": "minillm.kernels.merge_states",
    "mode": "minillm.kernels.runtime",
    "paged_attention": "minillm.kernels.paged_attention",
    "rotary": "minillm.kernels.rotary",
    "rotary_write": "minillm.kernels.rotary",
    "softmax": "minillm.kernels.softmax",
}
__getattr__, __dir__, __all__ = open_door(__name__, _NAMES)


class _KernelRoom(types.ModuleType):
    """Keeps a kernel's name for its function. Importing a file binds the file to the name of its own that it has here."""

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, types.ModuleType) and not _NAMES.get(name, ":").endswith(":"):
            value = getattr(value, name)
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _KernelRoom
