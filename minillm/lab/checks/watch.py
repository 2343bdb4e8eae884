"""Watching which torch operations a call runs, so that an exercise can ask for a thing to be written and not called.

Two torch modes are needed: one sees the functions a learner names (`F.softmax`), the other the operators those run
inside the library. A forbidden operation is noted either way, so an alias or a wrapper does not hide it.
"""

from __future__ import annotations

import contextlib
from typing import Any

from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode


class Watch:
    """A context that notes the first operation whose name contains one of `forbid`; free when nothing is forbidden."""

    def __init__(self, forbid: tuple[str, ...] = ()) -> None:
        self.forbid = forbid
        self.forbidden_seen: str | None = None

    def __enter__(self) -> Watch:
        self._modes = contextlib.ExitStack()
        if self.forbid:
            self._modes.enter_context(_Functions(self))
            self._modes.enter_context(_Operators(self))
        return self

    def __exit__(self, *exc_info: Any) -> None:
        self._modes.__exit__(*exc_info)

    def note_call(self, name: str) -> None:
        """Remember `name` if it is the first forbidden one."""
        if self.forbidden_seen is None and any(stem in name for stem in self.forbid):
            self.forbidden_seen = name


class _Functions(TorchFunctionMode):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch = watch

    def __torch_function__(self, function, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.watch.note_call(getattr(function, "__name__", ""))
        return function(*args, **(kwargs or {}))


class _Operators(TorchDispatchMode):
    def __init__(self, watch: Watch) -> None:
        super().__init__()
        self.watch = watch

    def __torch_dispatch__(self, operator, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        self.watch.note_call(operator.overloadpacket.__name__)
        return operator(*args, **(kwargs or {}))
