"""The attention operator in several forms with one meaning; call this module itself, or ask it for a form.

`ml.attention(q, k, v, causal=True)` picks the best form for the machine and the options; `help(ml.attention.attention)`
tells what the options mean. `naive` is the oracle, readable in one sitting; `tiled` walks over tiles as a kernel does; `sdpa` is
torch's fused call, the one to beat. `ml.backends()` prints which forms run here, and why the others do not.
"""

import inspect
import sys
import types
from typing import Any

from minillm._doors import open_door

__getattr__, __dir__, __all__ = open_door(
    __name__,
    {
        "attention": "minillm.attention.dispatch",
        "backends": "minillm.attention.table",
        "naive": "minillm.attention.naive:",
        "naive_attention": "minillm.attention.naive",
        "naive_decode": "minillm.attention.naive_decode",
        "naive_merge_states": "minillm.attention.merge",
        "naive_paged_attention": "minillm.attention.naive_paged",
        "paged": "minillm.attention.paged:",
        "paged_attention": "minillm.attention.paged",
        "sdpa": "minillm.attention.sdpa:",
        "sdpa_attention": "minillm.attention.sdpa",
        "tiled": "minillm.attention.tiled:",
        "tiled_attention": "minillm.attention.tiled",
        "tiled_attention_backward": "minillm.attention.tiled_backward",
        "tiled_decode": "minillm.attention.tiled_decode",
        "tiled_paged_attention": "minillm.attention.tiled_paged",
    },
)


class _CallableModule(types.ModuleType):
    """A module that is also its main function, so both `ml.attention(q, k, v)` and `ml.attention.naive` read well."""

    def __call__(self, *args: Any, **options: Any) -> Any:
        return self.attention(*args, **options)

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.attention)


# Python looks up `__call__` on the type, so the module gets a type that has one. Its names and laziness stay as they are.
sys.modules[__name__].__class__ = _CallableModule
