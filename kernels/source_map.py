"""Which line of the kernel did this instruction come from? Every stage of a compilation keeps the answer in its own way.

Triton's IR ends its lines in `loc(...)`, LLVM points into a table, PTX and AMDGCN put `.loc` above, and the disassembler
writes the file's name. A helper's code is inlined, so each place is a chain of calls; the innermost one that stands in
the kernel's own files, not in Triton's, is the line to show.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple


class Place(NamedTuple):
    """A line of a kernel's source: the file it was written in, and the line there, from 1."""

    file: str
    line: int

    def __str__(self) -> str:
        return f"{os.path.basename(self.file)}:{self.line}"


Frames = list[tuple[str, int]]  # (file, line), innermost first
Lines = list[tuple[Place | None, str]]


def source_lines(stage: str, text: str, files: Iterable[str]) -> Lines:
    """A stage's text -> (place in one of `files` or None, instruction) for each line of code, location notes taken out."""
    readers = {"ttir": _mlir, "ttgir": _mlir, "llir": _llvm, "ptx": _assembly, "amdgcn": _assembly, "sass": _sass}
    own = {os.path.basename(file): file for file in files}  # assembly comments hold no folders
    return [(_innermost(frames, own), line) for frames, line in readers[stage](text)]


def _innermost(frames: Frames, own: dict[str, str]) -> Place | None:
    known = ((own.get(os.path.basename(file)), line) for file, line in frames if line > 0)
    return next((Place(file, line) for file, line in known if file), None)


def _mlir(text: str) -> Iterator[tuple[Frames, str]]:
    table = dict(re.findall(r"^(#loc\d*) = loc\((.*)\)$", text, re.MULTILINE))
    for line in text.splitlines():
        if line.startswith("#loc") or not line.strip():
            continue
        note = re.search(r" loc\((#loc\d*|.*)\)$", line)
        if note and " loc(" in note.group(
            1
        ):  # an argument's note stands on the same line: the last one is the line's own
            note = re.search(r" loc\(([^ ]*)\)$", line)
        code = re.sub(r" loc\((?:#loc\d*|\"[^\"]*\"\(#loc\d*\))\)", "", line)
        yield _mlir_frames(note.group(1), table) if note else [], code


def _mlir_frames(place: str, table: dict[str, str], depth: int = 0) -> Frames:
    if depth > 50:
        return []
    if place in table:
        return _mlir_frames(table[place], table, depth + 1)
    if call := re.match(r"callsite\((.+) at (.+)\)$", place):
        return [f for part in call.groups() for f in _mlir_frames(part, table, depth + 1)]
    if at := re.match(r'"([^"]*)":(\d+):\d+', place):
        return [(at.group(1), int(at.group(2)))]
    if named := re.match(r'"[^"]*"\((.+)\)$', place):
        return _mlir_frames(named.group(1), table, depth + 1)
    if fused := re.match(r"fused(?:<.*>)?\[(.+)\]$", place):
        return [f for part in fused.group(1).split(", ") for f in _mlir_frames(part, table, depth + 1)]
    return []


def _llvm(text: str) -> Iterator[tuple[Frames, str]]:
    nodes = dict(re.findall(r"^(!\d+) = (?:distinct )?(!DI\w+\(.*\))$", text, re.MULTILINE))

    def attribute(node: str | None, name: str) -> str | None:
        found = re.search(rf'\b{name}: (!\d+|\d+|"[^"]*")', nodes.get(node or "", ""))
        return found.group(1).strip('"') if found else None

    def frames(node: str | None) -> Frames:
        chain: Frames = []
        while node in nodes and len(chain) < 50:
            file = attribute(attribute(attribute(node, "scope"), "file"), "filename")
            chain.append((file or "", int(attribute(node, "line") or 0)))
            node = attribute(node, "inlinedAt")
        return chain

    for line in text.splitlines():
        if line.startswith("!") or not line.strip():
            continue
        note = re.search(r",? !dbg (!\d+)", line)
        if note is None or line.startswith("define"):
            yield [], line
        else:
            yield frames(note.group(1)), line.replace(note.group(0), "")


def _assembly(text: str) -> Iterator[tuple[Frames, str]]:
    """The directive's comment spells the chain out: `.loc 2 216 16 // standard.py:216:16 @[ mine.py:10:9 ]`."""
    frames: Frames = []
    for line in text.splitlines():
        if re.match(r"\s*\.section\s+\.(?:debug|rodata)|\.Lfunc_end|\$L__func_end", line):
            return
        if re.match(r"\s*\.loc\s", line):
            comment = re.split(r"//|;", line, maxsplit=1)[-1].replace("]", "")
            frames = [(file, int(row)) for file, row in re.findall(r"(?:^|@\[)\s*(.*?):(\d+):\d+", comment)]
        elif line.strip() and not re.match(r"\s*(?:\.file\b|//|;)", line):
            yield frames, line


def _sass(text: str) -> Iterator[tuple[Frames, str]]:
    frames: Frames = []
    fresh = True  # a block of notes replaces the block before it
    for line in text.splitlines():
        if note := re.match(r'\s*//## File "(.*?)", line (\d+)', line):
            frames = [*([] if fresh else frames), (note.group(1), int(note.group(2)))]
            fresh = False
        elif re.match(r"\s*/\*[0-9a-f]+\*/\s+\S|\s*\.L_", line):
            yield frames, line
            fresh = True
