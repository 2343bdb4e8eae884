"""Lazy doors: a room's `__init__.py` names what it shows, and nothing is imported until somebody asks.

`import minillm` must cost little and never fail, on a laptop without Triton, widgets or plotting. So each package lists
its public names with the module they live in, and the first access imports that module (PEP 562).
"""

from __future__ import annotations

import difflib
import importlib
import sys
from collections.abc import Callable
from typing import Any


def open_door(package: str, names: dict[str, str]) -> tuple[Callable[[str], Any], Callable[[], list[str]], list[str]]:
    """Return `(__getattr__, __dir__, __all__)` for `package`, whose public `names` map to the modules that hold them.

    A module path ending in ":" stands for the module itself. Raises AttributeError, with the nearest public name, for
    anything else.
    """

    def __getattr__(name: str) -> Any:
        if name not in names:
            near = difflib.get_close_matches(name, names, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise AttributeError(f"module {package!r} has no attribute {name!r}{hint}")
        path = names[name]
        value = (
            importlib.import_module(path[:-1]) if path.endswith(":") else getattr(importlib.import_module(path), name)
        )
        setattr(sys.modules[package], name, value)
        return value

    def __dir__() -> list[str]:
        return sorted(set(sys.modules[package].__dict__) | set(names))

    return __getattr__, __dir__, sorted(names)
