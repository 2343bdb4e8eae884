"""Memory handed out in one piece a text: each reservation takes the first hole that is long enough.

This is how a cache without pages is shared out. A reservation cannot be moved, so what is free may lie in holes that are
each too short for the next text: free in all, and of no use to anybody.
"""

from __future__ import annotations

from minillm.errors import InvalidValue, rule_numbers_remedy


class FirstFit:
    """`size` slots, one a token, given out as runs of neighbours: `.runs` maps each name to its (first slot, slots)."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.runs: dict[str, tuple[int, int]] = {}

    def reserve(self, name: str, length: int) -> int | None:
        """`length` slots in one piece for `name` -> the first of them, or None if no hole is that long.

        Raises InvalidValue for a name that holds a run already, or a length below 1.
        """
        if name in self.runs or length < 1:
            rule = "a text reserves one run of at least 1 slot"
            numbers = f"{length} slots for {name!r}" + (", which has a run" if name in self.runs else "")
            raise InvalidValue(rule_numbers_remedy(rule, numbers, "release it first, or ask for more"))
        start = next((start for start, room in self.holes if room >= length), None)
        if start is not None:
            self.runs[name] = (start, length)
        return start

    def release(self, name: str) -> None:
        """Give the run of `name` back. Raises InvalidValue for a name that holds none."""
        if name not in self.runs:
            numbers = f"{name!r}, which holds none"
            raise InvalidValue(rule_numbers_remedy("a run is released once", numbers, f"release one of {[*self.runs]}"))
        del self.runs[name]

    @property
    def holes(self) -> list[tuple[int, int]]:
        """(first slot, slots) of each stretch that nobody holds, in order."""
        found, end = [], 0
        for start, length in [*sorted(self.runs.values()), (self.size, 0)]:
            if start > end:
                found.append((end, start - end))
            end = start + length
        return found

    @property
    def num_free(self) -> int:
        """Slots that nobody holds, in holes of any length."""
        return sum(room for _, room in self.holes)

    @property
    def largest_hole(self) -> int:
        """The longest text that could still come in."""
        return max((room for _, room in self.holes), default=0)

    def __repr__(self) -> str:
        return f"FirstFit({self.size} slots, {self.num_free} free, largest hole {self.largest_hole})"
