"""The ledger: where a learner's guesses are kept, in one JSON file beside their notebooks.

A guess is worth something only if it was made before the answer was seen, so the first guess is never overwritten; a
later one is kept as a revision. Nothing here may cost a learner their work: the file is replaced in one step, and one
that cannot be read is set aside, not deleted.
"""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minillm.errors import FileProblem, rule_numbers_remedy

VERSION = 1


@dataclass
class Entry:
    """One predicted quantity: its unit, the first guess, later guesses, and the actual value once scored."""

    unit: str
    first: float
    revisions: list[float] = field(default_factory=list)
    actual: float | None = None


class Ledger:
    """The guesses in the JSON file `path`; `path=None` is a ledger that is off: it reads and writes nothing."""

    def __init__(self, path: Path | None) -> None:
        self.path = path

    def __repr__(self) -> str:
        return "Ledger(off)" if self.path is None else f"Ledger({len(self.entries())} predictions)"

    def entries(self) -> dict[str, Entry]:
        """Every entry by name; empty when there is no file. A file that cannot be read is renamed to *.unreadable."""
        if self.path is None:
            return {}
        try:
            return _parse(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (ValueError, TypeError, KeyError, AttributeError):
            self._set_aside()
            return {}
        except OSError as error:
            raise self._problem("read", error) from error

    def save(self, name: str, entry: Entry) -> None:
        """Store one entry and keep the others, in one step: an interruption leaves the old file or the new one."""
        if self.path is None:
            return
        entries = self.entries() | {name: entry}
        document = {"version": VERSION, "predictions": {key: vars(value) for key, value in sorted(entries.items())}}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            _replace(self.path, json.dumps(document, indent=1) + "\n")
        except OSError as error:
            raise self._problem("written", error) from error

    def _set_aside(self) -> None:
        assert self.path is not None
        target, attempt = self.path.with_suffix(".unreadable"), 1
        while target.exists():
            attempt += 1
            target = self.path.with_suffix(f".unreadable_{attempt}")
        try:
            os.replace(self.path, target)
        except OSError as error:
            raise self._problem("set aside", error) from error

    def _problem(self, what: str, error: OSError) -> FileProblem:
        rule = f"the prediction ledger could not be {what}"
        remedy = "point MINILLM_LEDGER at a file you may write, or set it to off"
        return FileProblem(rule_numbers_remedy(rule, f"{self.path} ({error.strerror or error})", remedy))


def default_ledger() -> Ledger:
    """The ledger MINILLM_LEDGER names ("off" for none), else `.minillm/predictions.json` in the notebook's folder."""
    setting = os.environ.get("MINILLM_LEDGER", "")
    if setting.lower() == "off":
        return Ledger(None)
    return Ledger(Path(setting) if setting else Path.cwd() / ".minillm" / "predictions.json")


def _parse(text: str) -> dict[str, Entry]:
    """The entries of a ledger file; anything unexpected raises, so that the file is set aside whole."""
    document = json.loads(text)
    if document["version"] != VERSION:
        raise ValueError("another version")
    return {str(name): _entry(fields) for name, fields in document["predictions"].items()}


def _entry(fields: dict[str, Any]) -> Entry:
    actual = fields["actual"]
    revisions = [float(guess) for guess in fields["revisions"]]
    return Entry(str(fields["unit"]), float(fields["first"]), revisions, None if actual is None else float(actual))


def _replace(path: Path, text: str) -> None:
    handle, draft = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".draft")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(draft, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(draft)
        raise
