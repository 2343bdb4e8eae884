"""The rules a record's fields obey, each refused with the field's name, what it was, and what to do.

They hold when a record is built and when one is read, so a file edited by hand is caught like a bug in a benchmark.
"""

from __future__ import annotations

import dataclasses
import datetime
import math
import re
from collections.abc import Mapping
from typing import Any

from minillm.errors import InvalidValue, nearest_name, rule_numbers_remedy

# A slash, a tilde or a drive letter that opens a word: somebody's disk, which is nobody else's business.
_PATH = re.compile(r"(^|[\s=\"'])(/|~|[A-Za-z]:[\\/])")


def require_fields(kind: str, cls: type, given: Mapping[str, Any]) -> None:
    """Raise InvalidValue unless `given` names every field of the dataclass that has no default, and no other."""
    known = {f.name: f for f in dataclasses.fields(cls)}
    optional = {
        name
        for name, f in known.items()
        if f.default is not dataclasses.MISSING or f.default_factory is not dataclasses.MISSING
    }
    missing = [name for name in known if name not in given and name not in optional]
    unknown = [f"{name}{nearest_name(name, known)}" for name in given if name not in known]
    if missing or unknown:
        raise InvalidValue(f"a {kind} lacks {missing or 'nothing'} and has unknown {unknown or 'nothing'}.")


def require_text(name: str, value: Any, *, optional: bool = False) -> None:
    """Non-empty text without paths; None only if `optional`."""
    if value is None and optional:
        return
    if not isinstance(value, str) or not value.strip():
        raise InvalidValue(
            rule_numbers_remedy(f"{name} must be text that is not empty", repr(value), "say what it was")
        )
    if _PATH.search(value):
        raise InvalidValue(rule_numbers_remedy(f"{name} must not hold a path", repr(value), "write it relative"))


def require_number(name: str, value: Any, *, optional: bool = False, zero: bool = False) -> None:
    """A finite number above zero (or zero, if allowed); None only if `optional`."""
    if value is None and optional:
        return
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    if not is_number or value < 0 or (value == 0 and not zero):
        least = "at least zero" if zero else "above zero"
        raise InvalidValue(rule_numbers_remedy(f"{name} must be a finite number {least}", repr(value), "measure again"))


def require_table(name: str, value: Any, *, empty: bool = False) -> None:
    """A mapping with text keys, not empty unless allowed."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value) or not (value or empty):
        raise InvalidValue(
            rule_numbers_remedy(f"{name} must be a table of names", repr(value), 'write {"name": value}')
        )


def require_kind(name: str, values: Any, cls: type) -> None:
    """A tuple of nothing but `cls`."""
    if not isinstance(values, tuple) or not all(isinstance(value, cls) for value in values):
        raise InvalidValue(
            rule_numbers_remedy(f"{name} must be a tuple of {cls.__name__}", repr(values), "write (row, ...)")
        )


def require_date(value: str) -> None:
    """ISO 8601 with an offset from UTC, such as 2026-01-31T12:00:00Z."""
    try:
        aware = datetime.datetime.fromisoformat(value).tzinfo is not None
    except ValueError:
        aware = False
    if not aware:
        remedy = "write 2026-01-31T12:00:00+00:00"
        raise InvalidValue(rule_numbers_remedy("date must be ISO 8601 with its offset from UTC", repr(value), remedy))
