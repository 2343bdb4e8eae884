"""The same loop in two languages, line beside line, read from the source files themselves.

Lessons set a kernel beside its twin in torch. What they show is looked up by the name each line assigns to, so the table
cannot grow stale; and files are read, never imported, so that a kernel can be read where Triton is absent.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Sequence
from pathlib import Path

from minillm.errors import InvalidValue, unknown_name


def source_of(place: str) -> str:
    """ "package.module:function" -> the function's source, decorators left out; raises InvalidValue for an unknown place."""
    module, _, name = place.partition(":")
    spec = importlib.util.find_spec(module)
    if spec is None or spec.origin is None:
        raise InvalidValue(f"a place is package.module:function; there is no module {module!r}; check its spelling.")
    text = Path(spec.origin).read_text(encoding="utf-8")
    functions = {node.name: node for node in ast.parse(text).body if isinstance(node, ast.FunctionDef)}
    if name not in functions:
        raise unknown_name(f"function of {module}", name, functions)
    return "\n".join(text.splitlines()[functions[name].lineno - 1 : functions[name].end_lineno])


def assignments(place: str, target: str, skip: str = "") -> list[str]:
    """The lines of a function that assign to `target`, in order, without comments; those that mention `skip` left out."""
    source = source_of(place)
    found = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Assign)]
    found = [node for node in found if any(ast.unparse(t) == target for t in node.targets)]
    lines = [ast.get_source_segment(source, node) or "" for node in sorted(found, key=lambda node: node.lineno)]
    return [line for line in lines if not (skip and skip in line)]


def line_by_line(first: str, second: str, names: Sequence[tuple[str, str]], skip: str = "") -> str:
    """Two places, and pairs of names that mean the same -> a text with each name's lines of the one and of the other.

    Raises InvalidValue for an unknown place, or a name to which neither function assigns.
    """
    titles = [place.rpartition(".")[2].replace(":", ".py: ") for place in (first, second)]
    blocks = [f"1  {titles[0]}\n2  {titles[1]}"]
    for left, right in names:
        pairs = [(1, line) for line in assignments(first, left, skip)]
        pairs += [(2, line) for line in assignments(second, right, skip)]
        if not pairs:
            raise InvalidValue(f"nothing is assigned to {left!r} or {right!r} in {first} or {second}; check the names.")
        blocks.append("\n".join(f"{side}  {line}" for side, line in pairs))
    return "\n\n".join(blocks)
