"""A stopwatch for benchmarks under test: everything takes a second, except what is named slow, which takes two."""

from trial import Stopwatch, try_case

from minillm.measure import Timing


class Instant(Stopwatch):
    """Prepares nothing and times nothing; `prepared` lists what it was given."""

    def __init__(self, slow=()):
        super().__init__(0.1)
        self.slow, self.prepared = slow, []

    def prepare(self, calls):
        self.prepared.append(calls)
        return calls

    def race(self, prepared):
        seconds = {name: 2.0 if name in self.slow else 1.0 for name in prepared}
        return {name: Timing(name, s, s, s, blocks=1, runs=1) for name, s in seconds.items()}


def attempt(case, watch=None):
    """A case -> its rows by contestant, and the reasons of those that were not timed."""
    rows, untimed = try_case(case, "cpu", watch or Instant(), seed=5)
    return {row.backend: row for row in rows}, {case.backend: case.reason for case in untimed}
