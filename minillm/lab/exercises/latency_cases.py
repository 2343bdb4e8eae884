"""Cases for latency reports, functions of (arrival, token_times) in seconds that return (ttft, tpot, end_to_end).

Times in these cases are sums of quarters, which binary floats hold exactly, so a verdict never hangs on rounding.
"""

from __future__ import annotations

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property, same
from minillm.lab.checks.result import Finding


def latency_case(
    name: str, meaning: str, arrival: float, times: list[float], want: tuple[float | None, ...]
) -> Property:
    """A case that compares (ttft, tpot, end_to_end) number by number; None must be None."""

    def law(call: LearnerCall) -> Finding | None:
        got, facts = call(arrival, times), (("inputs", f"arrival={arrival}, token_times={times}"),)
        for label, ours, theirs in zip(("ttft", "tpot", "end_to_end"), want, got, strict=True):
            if (ours is None or theirs is None) and ours is not theirs:
                return Finding("", (*facts, ("what", label), ("got", repr(theirs)), ("want", repr(ours))))
            problem = None if ours is None else same(theirs, ours, (1e-9, 1e-9))
            if problem:
                return Finding("", (*facts, ("what", label), *problem.facts))
        return None

    return Property(name, law, meaning)


def three_values(call: LearnerCall) -> Finding | None:
    """The answer is a tuple or list of three."""
    got = call(0.0, [1.0, 2.0])
    right = isinstance(got, tuple | list) and len(got) == 3
    return None if right else Finding("", (("got", type(got).__name__), ("want", "(ttft, tpot, end_to_end)")))


def shifted_in_time(call: LearnerCall) -> bool:
    """A request served 100 s later has the same latencies."""
    times = [3.0, 4.5, 5.0, 8.0]
    early, late = call(2.0, times), call(102.0, [t + 100 for t in times])
    return all(abs(a - b) < 1e-9 for a, b in zip(early, late, strict=True))


def parts_add_up(call: LearnerCall) -> bool:
    """TTFT and the n - 1 gaps make up the whole."""
    ttft, tpot, end_to_end = call(1.0, [2.0, 2.5, 4.5, 4.75, 7.0])
    return abs(ttft + 4 * tpot - end_to_end) < 1e-9
