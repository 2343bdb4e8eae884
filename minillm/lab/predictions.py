"""Predict, then look: you write a number down before the answer is shown, and later see how far off it was.

Guessing by a factor is the skill (is it megabytes or gigabytes?), so guesses are scored by ratio, and your calibration
over all lessons is the median factor you are off by. Your guesses stay in one file beside your notebooks.
"""

from __future__ import annotations

import math
import numbers
import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minillm.errors import FileProblem, InvalidType, InvalidValue, rule_numbers_remedy
from minillm.lab.checks.result import note_html
from minillm.lab.formatting import format_bytes, format_number
from minillm.lab.ledger import Entry, Ledger, default_ledger

if TYPE_CHECKING:
    from minillm.lab.figures import Picture


@dataclass(frozen=True)
class Note:
    """A few lines that print the same as text and as HTML."""

    lines: tuple[str, ...]

    def __repr__(self) -> str:
        return "\n".join(self.lines)

    def _repr_html_(self) -> str:
        return note_html(self.lines)


def predict(name: str, guess: float | None, *, unit: str = "", ledger: Ledger | None = None) -> Note:
    """Write down a `guess` for the quantity `name`, such as predict("01.score_bytes", 3.2e9, unit="bytes").

    None (or ...) means not yet. The first guess counts: the same cell run again changes nothing, and another number is
    kept as a revision. Raises InvalidType unless the guess is a number, and InvalidValue unless it is above zero and in
    the unit of the first guess. A ledger that cannot be written is reported in the note; the guess is then not kept.
    """
    name, unit = _text("name", name), _text("unit", unit)
    if guess is None or guess is ...:
        return Note(
            (f"○ {name}: no guess yet. Put a number{_of(unit)} in place of {guess!r} and run this cell again.",)
        )
    value = _positive("a guess", guess)
    try:
        said = _write_down(name, value, unit, ledger or default_ledger())
    except FileProblem as problem:
        said = f"your guess is {_with_unit(value, unit)}, but it was not kept: {problem}"
    return Note((f"● {name}: {said}",))


def _write_down(name: str, value: float, unit: str, ledger: Ledger) -> str:
    entry = ledger.entries().get(name)
    if entry is None:
        ledger.save(name, Entry(unit, value))
        return f"your guess is {_with_unit(value, unit)}."
    if entry.unit != unit:
        raise InvalidValue(
            rule_numbers_remedy(
                f"every guess of {name} has one unit",
                f"{unit or 'none'!r} after {entry.unit or 'none'!r}",
                f"convert the number to {entry.unit or 'no unit'}",
            )
        )
    if value != entry.first and value not in entry.revisions:
        entry.revisions.append(value)
        ledger.save(name, entry)
    if value == entry.first:
        return f"your guess is {_with_unit(value, unit)}."
    return f"revised to {_with_unit(value, unit)}; your first guess, {_with_unit(entry.first, unit)}, is the one that counts."


def score(name: str, actual: float, *, unit: str = "", ledger: Ledger | None = None) -> Note:
    """Show how far the first guess of `name` was from `actual`, and your calibration so far.

    `unit` is only for a quantity nobody guessed; a guess brings its own, and another one raises InvalidValue.
    """
    name, unit = _text("name", name), _text("unit", unit)
    value = _positive("an actual value", actual)
    ledger = ledger or default_ledger()
    try:
        entry = ledger.entries().get(name)
        if entry is None:
            return Note((f"○ {name}: it is {_with_unit(value, unit)}; no guess was written down.",))
        if unit and entry.unit and unit != entry.unit:
            raise InvalidValue(
                rule_numbers_remedy(
                    f"{name} was guessed in {entry.unit}", f"an actual value in {unit}", f"convert it to {entry.unit}"
                )
            )
        if entry.actual != value:
            entry.actual = value
            ledger.save(name, entry)
    except FileProblem as problem:
        return Note((f"○ {name}: it is {_with_unit(value, unit)}; your guess is out of reach: {problem}",))
    unit = entry.unit or unit
    line = f"{name}: you guessed {_with_unit(entry.first, unit)}, it is {_with_unit(value, unit)}: {_verdict(entry.first, value)}."
    return Note((f"● {line}", *calibration(ledger).lines))


@dataclass(frozen=True)
class Calibration:
    """How good the scored guesses are: `names` and the `ratios` guess / actual, in the ledger's order."""

    names: tuple[str, ...]
    ratios: tuple[float, ...]

    @property
    def factors(self) -> list[float]:
        """How many times off each guess was, at least 1, whichever way."""
        return [max(ratio, 1 / ratio) for ratio in self.ratios]

    @property
    def median_factor(self) -> float:
        """The median of the factors; 1 is perfect, NaN without scored guesses."""
        return statistics.median(self.factors) if self.ratios else math.nan

    @property
    def share_within_2(self) -> float:
        """The share of guesses within a factor of two; NaN without scored guesses."""
        return sum(factor <= 2 for factor in self.factors) / len(self.ratios) if self.ratios else math.nan

    @property
    def lines(self) -> tuple[str, ...]:
        """The summary in one or two lines."""
        if not self.ratios:
            return ("No predictions scored yet.",)
        within = sum(factor <= 2 for factor in self.factors)
        low = sum(ratio < 1 for ratio in self.ratios)
        return (
            f"Your calibration: half of {len(self.ratios)} guesses are within a factor {self.median_factor:.3g}; "
            f"{within} of {len(self.ratios)} are within 2.",
            f"Too low {low} times, too high {sum(ratio > 1 for ratio in self.ratios)} times.",
        )

    def __repr__(self) -> str:
        return "\n".join(self.lines)

    def _repr_html_(self) -> str:
        return note_html(self.lines)

    def figure(self) -> Picture:
        """A picture of every scored guess as a ratio to its actual value, on a logarithmic axis, 1 in the middle."""
        from minillm.lab import figures

        fig = figures.figure("Your guesses", height=1.6 + 0.32 * len(self.ratios))
        axes = fig.axes[0]
        axes.axvspan(0.5, 2, color=figures.PALETTE[4], alpha=0.25)
        axes.axvline(1, color=figures.PALETTE[0], linewidth=1.5)
        axes.plot(self.ratios, range(len(self.ratios)), figures.MARKERS[2], color=figures.PALETTE[5])
        axes.set_xscale("log")
        widest = max([4.0, *self.factors]) * 1.5
        axes.set_xlim(1 / widest, widest)
        figures.name_ticks(axes, "y", list(self.names))
        axes.invert_yaxis()
        figures.label_axes(axes, x="guess / actual (the band is within a factor of 2)")
        rows = [
            f"  {name}: {ratio:.3g} times the actual value" for name, ratio in zip(self.names, self.ratios, strict=True)
        ]
        return figures.picture(fig, "\n".join([*self.lines, *rows]))


def calibration(ledger: Ledger | None = None) -> Calibration:
    """The calibration over every scored guess in the ledger."""
    entries = (ledger or default_ledger()).entries()
    scored = {name: entry.first / entry.actual for name, entry in sorted(entries.items()) if entry.actual}
    return Calibration(tuple(scored), tuple(scored.values()))


def _verdict(guess: float, actual: float) -> str:
    factor = max(guess / actual, actual / guess)
    if factor < 1.005:
        return "spot on"
    return f"{'within' if factor <= 2 else 'off by'} a factor {factor:.3g}, too {'low' if guess < actual else 'high'}"


def _positive(what: str, value: object) -> float:
    """`value` as a float; the error for anything that is not a finite number above zero."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        remedy = 'write digits, such as 3.2e9, and give the unit apart: unit="bytes"'
        raise InvalidType(
            rule_numbers_remedy(f"{what} is a plain number", f"{value!r} ({type(value).__name__})", remedy)
        )
    if not math.isfinite(value) or value <= 0:
        remedy = "guess a size, even a rough one: it is scored by ratio"
        raise InvalidValue(rule_numbers_remedy(f"{what} is a finite number above zero", f"{value!r}", remedy))
    return float(value)


def _text(what: str, value: object) -> str:
    if not isinstance(value, str) or (what == "name" and not value.strip()):
        raise InvalidType(
            rule_numbers_remedy(f"the {what} of a prediction is text", repr(value), 'such as "01.score_bytes"')
        )
    return value.strip()


def _of(unit: str) -> str:
    return f" of {unit}" if unit else ""


def _with_unit(value: float, unit: str) -> str:
    """Bytes in binary units, everything else as a grouped number and its unit."""
    if unit in ("bytes", "byte", "B"):
        return format_bytes(value)
    return f"{format_number(value)} {unit}".strip()
