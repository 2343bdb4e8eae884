"""Numbers and tokens as people read them: bytes in binary units, counts with a letter, white space made visible.

Used by every figure, widget and report, so that the same number is spelled the same way wherever a learner meets it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

BINARY_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")
COUNT_LETTERS = ("", "K", "M", "B", "T")
VISIBLE = {" ": "␣", "\n": "⏎", "\t": "⇥", "\r": "␍"}


def format_bytes(count: float) -> str:
    """1536 -> "1.5 KiB": three digits in binary units (1 KiB = 1024 bytes), whole bytes below 1 KiB."""
    number, power = _scaled(count, 1024, len(BINARY_UNITS))
    return f"{number} {BINARY_UNITS[power]}"


def format_count(count: float) -> str:
    """8030261248 -> "8.03B", 1500 -> "1500": three digits with K, M, B (billion) or T from 10 000 on."""
    if abs(count) < 10_000:
        return format_number(count)
    number, power = _scaled(count, 1000, len(COUNT_LETTERS))
    return f"{number}{COUNT_LETTERS[power]}"


def format_number(value: float) -> str:
    """655360 -> "655 360": whole numbers exactly, in groups of three; others to three digits."""
    if not math.isfinite(value):
        return str(float(value))
    if value != round(value):
        return f"{value:.3g}"
    return f"{round(value):,}".replace(",", " ") if abs(value) >= 10_000 else f"{round(value)}"


def text_table(names: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    """Fixed-width lines, numbers to the right: what a terminal, a screen reader and nbval all read alike."""
    widths = [max(len(cell) for cell in column) for column in zip(names, *rows, strict=True)]
    return [
        "  " + "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in (names, *rows)
    ]


def show_token(text: str, limit: int = 18) -> str:
    """A token's text with its white space drawn (␣ ⏎ ⇥), control characters escaped and long ones cut with …"""
    visible = "".join(VISIBLE.get(c) or (c if c.isprintable() else c.encode("unicode_escape").decode()) for c in text)
    if not visible:
        return "(empty)"
    return visible if len(visible) <= limit else visible[: limit - 1] + "…"


def _scaled(value: float, base: int, powers: int) -> tuple[str, int]:
    """`value` in three digits and the power of `base` it was divided by; 1023.9996 KiB rounds up to 1 MiB."""
    power = 0
    while power < powers - 1 and abs(value) >= (base if power == 0 else base - 0.5):
        value, power = value / base, power + 1
    return (_three_digits(value) if power else f"{value:.0f}"), power


def _three_digits(value: float) -> str:
    places = 2 if abs(value) < 9.995 else 1 if abs(value) < 99.95 else 0
    text = f"{value:.{places}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
