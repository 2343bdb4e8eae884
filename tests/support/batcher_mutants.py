"""Break the dynamic batcher on purpose: one piece of one file's text replaced, and every module loaded anew around it.

A mutant says which file it breaks, the text it looks for, what it puts there, and which checks must then complain. The text
must stand in the file exactly once, so a mutant never goes stale unseen.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import patch

import batcher_battery
import batcher_thread_battery

from minillm.errors import InvalidType, InvalidValue

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "wrong_answers" / "serving" / "dynamic_batcher"
MODULES = ("batching.config", "batching.ticket", "batching.level_queues", "batching.send_rule", "dynamic_batcher",
           "batching.threads")  # fmt: skip
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
CHECKS = batcher_battery.CHECKS | batcher_thread_battery.CHECKS


def describe(name):
    """The mutant's own module: FILE, OLD, NEW, CAUGHT_BY."""
    spec = importlib.util.spec_from_file_location(f"wrong_batcher_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def house_with(mutant=None):
    """-> everything the modules define, the mutant's file among them broken."""
    loaded = {}
    with patch.dict(sys.modules):
        for stem in MODULES:
            path = ROOT / "minillm" / "serving" / f"{stem.replace('.', '/')}.py"
            text = path.read_text(encoding="utf-8")
            if mutant and path == ROOT / mutant.FILE:
                found = text.count(mutant.OLD)
                assert found == 1, f"the text to replace stands {found} times in {mutant.FILE}"
                text = text.replace(mutant.OLD, mutant.NEW)
            module = ModuleType(f"minillm.serving.{stem}")
            sys.modules[module.__name__] = module
            exec(compile(text, f"broken {path.name}", "exec"), module.__dict__)
            loaded |= module.__dict__
    return SimpleNamespace(**loaded)


def complaint(name, house):
    """What a check says about the modules, or None. A crash that is no error of ours is not a rejection."""
    try:
        CHECKS[name](house)
    except (AssertionError, InvalidType, InvalidValue) as failure:
        return str(failure) or "rejected"
    return None
