"""What a check says: one object that reads the same in a terminal, in a notebook and in a grader's JSON.

The text holds decisions and facts only. No time, object id or address may enter it, because the lessons are compared
with their stored output on every test run.
"""

from __future__ import annotations

import html
from dataclasses import dataclass, field

LAYERS = ("contract", "values", "properties", "resources")
PASSED, FAILED, NOT_ATTEMPTED = "passed", "failed", "not attempted"

# Each status has a sign and a word of its own, so colour only repeats what they say (Okabe and Ito's palette).
_SIGNS = {PASSED: ("✓", "#0072B2"), FAILED: ("✗", "#D55E00"), NOT_ATTEMPTED: ("○", "#767676")}


@dataclass(frozen=True)
class Finding:
    """What one case found wrong: a sentence for the learner, then labelled facts in reading order.

    `layer` is set only by a finding that belongs to a layer other than the one being graded, such as a forbidden call.
    """

    meaning: str
    facts: tuple[tuple[str, str], ...] = ()
    layer: str | None = None


@dataclass(frozen=True)
class CheckResult:
    """The verdict on one answer: `passed`, the `layer` and `case` that failed if any, and the `message` shown."""

    exercise: str
    title: str
    status: str
    layer: str | None = None
    case: str | None = None
    finding: Finding | None = None
    counts: dict[str, int] = field(default_factory=dict)
    next_step: str = ""

    @property
    def passed(self) -> bool:
        """True when every layer accepted the answer."""
        return self.status == PASSED

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The labelled lines under the headline, the same for text and HTML."""
        if self.status == PASSED:
            return [("layers", " · ".join(f"{layer} {count}" for layer, count in self.counts.items()))]
        rows = [("case", self.case)] if self.case else []
        if self.finding:
            rows += [*self.finding.facts, ("meaning", self.finding.meaning)]
        return rows + ([("next", self.next_step)] if self.next_step else [])

    @property
    def headline(self) -> str:
        """One line: the sign, the exercise, the verdict and, for a failure, the layer."""
        where = f" in {self.layer}" if self.layer else ""
        return f"{_SIGNS[self.status][0]} {self.exercise} {self.status}{where}: {self.title}"

    @property
    def message(self) -> str:
        """The whole verdict as plain text; a not-attempted exercise is one line."""
        if self.status == NOT_ATTEMPTED:
            return f"{self.headline} ({self.next_step})"
        return "\n".join([self.headline, *_text_rows(self.rows)])

    def __repr__(self) -> str:
        return self.message

    def __bool__(self) -> bool:
        return self.passed

    def _repr_html_(self) -> str:
        return verdict_html(self.headline if self.status != NOT_ATTEMPTED else self.message, self.rows, self.status)

    def to_json(self) -> dict[str, object]:
        """The verdict as a dictionary that `json.dumps` takes; a grader's record of this check."""
        finding = self.finding or Finding("")
        return {
            "exercise": self.exercise,
            "title": self.title,
            "status": self.status,
            "layer": self.layer,
            "case": self.case,
            "meaning": finding.meaning,
            "facts": dict(finding.facts),
            "counts": dict(self.counts),
            "message": self.message,
        }


def status_sign(status: str) -> str:
    """The sign of a status; "missing" and other words that are no verdict share the dash."""
    return _SIGNS.get(status, ("–", ""))[0]


def _text_rows(rows: list[tuple[str, str]]) -> list[str]:
    """Rows as aligned lines; a value of several lines is indented under its first."""
    width = max((len(label) for label, _ in rows), default=0)
    return [f"  {label:<{width}}  " + value.replace("\n", "\n" + " " * (width + 4)) for label, value in rows]


def verdict_html(headline: str, rows: list[tuple[str, str]], status: str) -> str:
    """`headline` over a two-column table, framed on the left in the status colour; no scripts, no ids."""
    colour = _SIGNS[status][1]
    cells = "".join(
        f"<tr><th scope='row' style='text-align:left;padding:0 1em 0 0;vertical-align:top'>{html.escape(label)}</th>"
        f"<td style='text-align:left'><pre style='margin:0;white-space:pre-wrap'>{html.escape(value)}</pre></td></tr>"
        for label, value in rows
    )
    table = f"<table>{cells}</table>" if rows and status != NOT_ATTEMPTED else ""
    return f"<div style='border-left:4px solid {colour};padding-left:0.8em'><strong>{html.escape(headline)}</strong>{table}</div>"


def note_html(lines: tuple[str, ...]) -> str:
    """Plain lines, one below the other, framed like a verdict."""
    body = "<br>".join(html.escape(line) for line in lines)
    return f"<div style='border-left:4px solid #767676;padding-left:0.8em'>{body}</div>"
