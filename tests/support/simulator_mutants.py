"""Break the simulated day on purpose: one piece of one file's text replaced, and the modules loaded anew around it.

A mutant says which file it breaks, the text it looks for, what it puts there, and which promises of the battery must then be
seen to be broken. The text must stand in the file exactly once, so a mutant never goes stale unseen.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import patch

from simulator_battery import CHECKS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "wrong_answers" / "serving" / "simulator"
MODULES = (
    "measure.step_cost",
    "serving.workload",
    "serving.watching.trace",
    "serving.simulate",
)  # in the order in which they import one another
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def describe(name):
    """The mutant's own module: FILE, OLD, NEW, CAUGHT_BY."""
    spec = importlib.util.spec_from_file_location(f"wrong_day_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def house_with(mutant=None):
    """-> the public names of the modules, the mutant's file among theirs broken."""
    shown = {}
    with patch.dict(sys.modules):
        for stem in MODULES:
            path = ROOT / "minillm" / f"{stem.replace('.', '/')}.py"
            text = path.read_text(encoding="utf-8")
            if mutant is not None and path == ROOT / mutant.FILE:
                found = text.count(mutant.OLD)
                assert found == 1, f"the text to replace stands {found} times in {mutant.FILE}"
                text = text.replace(mutant.OLD, mutant.NEW)
            module = ModuleType(f"minillm.{stem}")
            sys.modules[module.__name__] = module
            exec(compile(text, f"broken {path.name}", "exec"), module.__dict__)
            shown |= {name: value for name, value in vars(module).items() if not name.startswith("_")}
    return SimpleNamespace(**shown)


def complaint(name, house):
    """What a promise's check says about the house, or None."""
    try:
        CHECKS[name](house)
    except Exception as failure:
        return f"{type(failure).__name__}: {failure}"
    return None
