"""Break the rules of speculation on purpose: one piece of a file's text replaced, and the module loaded anew.

The text must stand in the file exactly once, so a mutant never goes stale unseen.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import patch

ROOT = Path(__file__).parents[2]
FOLDERS = {part: ROOT / "tests" / "wrong_answers" / "serving" / part for part in ("speculative", "drafts")}


def names(part):
    """The mutants of one part."""
    return sorted(path.stem for path in FOLDERS[part].glob("*.py"))


def describe(part, name):
    """The mutant's own module: FILE, OLD, NEW, CAUGHT_BY."""
    spec = importlib.util.spec_from_file_location(f"wrong_{part}_{name}", FOLDERS[part] / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def broken_module(mutant, others=()):
    """-> the mutant's file as a module, its wrong line in it, and then the names of `others`, which import it."""
    loaded = {}
    with patch.dict(sys.modules):
        for file in dict.fromkeys((mutant.FILE, *others)):
            text = (ROOT / file).read_text(encoding="utf-8")
            if file == mutant.FILE:
                found = text.count(mutant.OLD)
                assert found == 1, f"the text to replace stands {found} times in {mutant.FILE}"
                text = text.replace(mutant.OLD, mutant.NEW)
            module = ModuleType(file.removesuffix(".py").replace("/", "."))
            sys.modules[module.__name__] = module
            exec(compile(text, f"broken {file}", "exec"), module.__dict__)
            loaded |= module.__dict__
    return SimpleNamespace(**loaded)


def complaint(check, subject):
    """What a check says about the subject, or None. A crash that is no failed promise is not a rejection."""
    try:
        check(subject)
    except AssertionError as failure:
        return str(failure) or "rejected"
    return None
