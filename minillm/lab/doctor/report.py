"""The doctor's findings as text for a shell, a card for a notebook, and a dictionary for programs."""

from __future__ import annotations

import html
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

WIDTH = 100


@dataclass(frozen=True)
class Verdict:
    """One thing that works here or does not, and why."""

    name: str
    works: bool
    why: str


@dataclass(frozen=True)
class BlindSpot:
    """Something this machine cannot tell: the reason, what was measured just now, and what minillm does about it."""

    name: str
    why: str
    measured: str
    instead: str


@dataclass(frozen=True)
class Report:
    """The doctor's findings: prints as plain text, draws itself as a card in a notebook, and gives a dict for programs."""

    versions: Mapping[str, str]
    machine: Mapping[str, str]
    backends: Sequence[Verdict]
    kernels: str
    blind_spots: Sequence[BlindSpot]
    suggestions: Sequence[str]

    def __repr__(self) -> str:
        return "\n".join(_text(self))

    def _repr_html_(self) -> str:
        return _card(self)

    def to_json(self) -> dict[str, Any]:
        """The report as a dictionary that `json.dumps` takes."""
        return asdict(self)


def _text(report: Report) -> list[str]:
    """Plain fixed-width lines, readable in any terminal and in a log."""
    lines = ["Versions"]
    lines += _wrapped("", ", ".join(f"{name} {value}" for name, value in report.versions.items()))
    lines += ["", "This machine"]
    for name, value in report.machine.items():
        lines += _wrapped(f"{name:<14}", value)
    lines += ["", "Forms of attention"]
    for verdict in report.backends:
        lines += _wrapped(f"{verdict.name:<8}{'works' if verdict.works else 'no':<6}", verdict.why)
    lines += ["", "Triton kernels", *_wrapped("", report.kernels)]
    lines += ["", "What this machine cannot tell you"]
    for number, spot in enumerate(report.blind_spots, 1):
        lines += _wrapped(f"{number}. ", f"{spot.name[0].upper()}{spot.name[1:]}")
        for label, value in (("why", spot.why), ("seen", spot.measured), ("instead", spot.instead)):
            lines += _wrapped(f"   {label:<8}", value)
    lines += ["", "Next"]
    for advice in report.suggestions:
        lines += _wrapped("- ", advice)
    return lines


def _wrapped(label: str, text: str) -> list[str]:
    """`text` behind `label`, folded at WIDTH, with commands and paths never cut in two."""
    indent = " " * (2 + len(label))
    return textwrap.wrap(
        text,
        WIDTH,
        initial_indent=f"  {label}",
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _card(report: Report) -> str:
    """Plain tables that keep their sense where a page strips styles; words, not colours, carry the verdicts."""
    backends = [(verdict.name, "works" if verdict.works else "no", verdict.why) for verdict in report.backends]
    spots = [(spot.name, spot.why, spot.measured, spot.instead) for spot in report.blind_spots]
    advice = "".join(f"<li>{html.escape(line)}</li>" for line in report.suggestions)
    parts = [
        _table("This machine", (), [*report.machine.items(), ("Triton kernels", report.kernels)]),
        _table("Forms of attention", ("form", "here", "why"), backends),
        _table(
            "What this machine cannot tell you",
            ("it cannot tell", "because", "seen just now", "do this instead"),
            spots,
        ),
        f"<p><b>Next</b></p><ul>{advice}</ul>",
        f"<details><summary>Versions</summary>{_table('', (), list(report.versions.items()))}</details>",
    ]
    return f'<div style="max-width: 60em">{"".join(parts)}</div>'


def _table(title: str, names: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    cell = 'style="text-align: left; vertical-align: top"'
    head = f"<tr>{''.join(f'<th {cell}>{html.escape(name)}</th>' for name in names)}</tr>" if names else ""
    body = "".join(f"<tr>{''.join(f'<td {cell}>{html.escape(value)}</td>' for value in row)}</tr>" for row in rows)
    return f"{f'<p><b>{html.escape(title)}</b></p>' if title else ''}<table>{head}{body}</table>"
