"""A morning at a small code assistant: prompts of several people that begin alike, and some that do not.

Every prompt is the beginning of a Python file that the bundled model could go on with. All but one begin with the same
instructions; two kinds of task add examples of their own; one person comes back with what was written so far, and one asks
what another has asked already.
"""

from __future__ import annotations

from dataclasses import dataclass

INSTRUCTIONS = '''"""Helpers for records that are kept in small text files.

Every function has a docstring of one line. Names are whole words. What is wrong is raised
as a ValueError that says which rule was broken. A path may be a string or a Path. Text is
read and written as UTF-8, and a file is always closed.
"""

import json
import os
from pathlib import Path


'''

READERS = '''def read_text(path):
    """Return the whole text of a file."""
    with open(path, encoding="utf-8") as file:
        return file.read()


'''

CHECKS = '''def check_name(name):
    """Raise ValueError when a name is empty."""
    if not name:
        raise ValueError("a name has at least one letter")


'''

LINES = '''def read_lines(path):
    """Return the lines of a file as a list."""
'''

ANSWER = """    return read_text(path).splitlines()


"""

DIALOGUE = '''"""A dialogue box with a label, two buttons and a text field."""

import tkinter


class Dialogue(tkinter.Frame):
    def __init__(self, parent, title):
'''


@dataclass(frozen=True)
class Prompt:
    """What one person asks: `name` for a table, and the text itself."""

    name: str
    text: str


PROMPTS = (
    Prompt("Ann: read lines", INSTRUCTIONS + READERS + LINES),
    Prompt("Bob: read records", INSTRUCTIONS + READERS + 'def read_records(path):\n    """Return one dictionary a line."""\n'),
    Prompt("Cem: check a path", INSTRUCTIONS + CHECKS + 'def check_path(path):\n    """Raise ValueError when there is no file."""\n'),
    Prompt("Gus: a dialogue", DIALOGUE),
    Prompt("Ann goes on", INSTRUCTIONS + READERS + LINES + ANSWER + 'def count_lines(path):\n    """Return how many lines a file has."""\n'),
    Prompt("Dora: read lines", INSTRUCTIONS + READERS + LINES),
    Prompt("Eve: check an age", INSTRUCTIONS + CHECKS + 'def check_age(age):\n    """Raise ValueError when an age is below zero."""\n'),
    Prompt("Finn: write text", INSTRUCTIONS + 'def write_text(path, text):\n    """Replace the text of a file."""\n'),
)  # fmt: skip
