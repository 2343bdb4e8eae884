"""Break sampling or beam search on purpose: one piece of one file's text replaced, and the files loaded anew around it.

The text must stand in the file exactly once, so a mutant never goes stale unseen.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import patch

from minillm.errors import MinillmError

ROOT = Path(__file__).parents[2]
# Each part's files, in the order in which they import one another.
MODULES = {
    "sampling": ("decoding.support", "decoding.penalties", "decoding.sampling"),
    "beams": ("decoding.beam", "serving.beams"),
}


def names(part):
    """The mutants of one part."""
    return sorted(path.stem for path in (ROOT / "tests" / "wrong_answers" / "serving" / part).glob("*.py"))


def describe(part, name):
    """The mutant's own module: FILE, OLD, NEW, CAUGHT_BY."""
    path = ROOT / "tests" / "wrong_answers" / "serving" / part / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"wrong_{part}_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def house_with(part, mutant=None):
    """-> every public name of the part's files and the files themselves, the mutant's among them broken."""
    shown = {}
    with patch.dict(sys.modules):
        for stem in MODULES[part]:
            path = ROOT / "minillm" / f"{stem.replace('.', '/')}.py"
            text = path.read_text(encoding="utf-8")
            if mutant is not None and path == ROOT / mutant.FILE:
                found = text.count(mutant.OLD)
                assert found == 1, f"the text to replace stands {found} times in {mutant.FILE}"
                text = text.replace(mutant.OLD, mutant.NEW)
            module = ModuleType(f"minillm.{stem}")
            sys.modules[module.__name__] = module
            exec(compile(text, f"broken {path.name}", "exec"), module.__dict__)
            shown |= {name: value for name, value in module.__dict__.items() if not name.startswith("_")}
            shown[path.stem] = module
    return SimpleNamespace(**shown)


def complaint(check, house):
    """What a check says about the house, or None. A crash that is no failed promise and no error of ours is not a rejection."""
    try:
        check(house)
    except (AssertionError, MinillmError) as failure:
        return str(failure) or "rejected"
    return None
