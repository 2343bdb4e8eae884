"""Every error a reader can cause, each stating rule, numbers and remedy.

The types subclass Python's own, so `except ValueError` keeps working, and share `MinillmError`, so a caller can tell our
refusals from a library's accidents. Build messages with `rule_numbers_remedy` when there are three parts to say.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class MinillmError(Exception):
    """Anything minillm refuses on purpose."""


class InvalidValue(MinillmError, ValueError):
    """A value outside its rule: a shape, a range, an unknown name."""


class InvalidType(MinillmError, TypeError):
    """A value of the wrong kind: a list for a tensor, mixed dtypes."""


class Unsupported(MinillmError, NotImplementedError):
    """A request that is understood but not available on this machine or in this release."""


class FileProblem(MinillmError, OSError):
    """A file that is missing, truncated or refused."""


def rule_numbers_remedy(rule: str, numbers: str, remedy: str) -> str:
    """Join the three parts of an error text: "rule; got numbers; remedy."."""
    return f"{rule}; got {numbers}; {remedy}."


def nearest_name(name: str, known: Iterable[str]) -> str:
    """A hint such as " (did you mean 'sdpa'?)", or an empty string when nothing is near."""
    near = difflib.get_close_matches(str(name), list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


def unknown_name(kind: str, name: object, known: Iterable[str]) -> InvalidValue:
    """The error for a name that is in no table: lists the table and the nearest entry."""
    names = list(known)
    return InvalidValue(f"unknown {kind} {name!r}{nearest_name(str(name), names)}; known: {', '.join(names)}.")


def nearest_divisors(number: int, wanted: int) -> str:
    """The divisors of `number` on either side of `wanted`, as words: 12 and 5 -> "4 or 6"."""
    divisors = [d for d in range(1, number + 1) if number % d == 0]
    below = max(d for d in divisors if d <= max(1, wanted))
    above = min((d for d in divisors if d >= wanted), default=below)
    return f"{below} or {above}" if above != below else str(below)
