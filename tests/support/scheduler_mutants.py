"""Break the scheduler on purpose: one piece of one file's text replaced, and every module loaded anew around it.

A mutant says which file it breaks, the text it looks for, what it puts there, and which promises of the battery must then be
seen to be broken. The text must stand in the file exactly once, so a mutant never goes stale unseen.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import patch

from schedule_battery import CHECKS
from schedule_world import OURS

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "wrong_answers" / "serving" / "scheduler"
MODULES = ("cache.block_pool", "cache.block_table", "cache.prefix", "serving.request", "serving.schedule.config",
           "serving.schedule.output", "serving.schedule.waiting_line", "serving.schedule.text_memory", "serving.schedule.step",
           "serving.schedule.policies", "serving.schedule.check", "serving.scheduler")  # fmt: skip
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def describe(name):
    """The mutant's own module: FILE, OLD, NEW, CAUGHT_BY."""
    spec = importlib.util.spec_from_file_location(f"wrong_scheduler_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def house_with(mutant):
    """-> the classes, the mutant's file among theirs broken."""
    loaded = {}
    with patch.dict(sys.modules):
        for stem in MODULES:
            path = ROOT / "minillm" / f"{stem.replace('.', '/')}.py"
            text = path.read_text(encoding="utf-8")
            if path == ROOT / mutant.FILE:
                found = text.count(mutant.OLD)
                assert found == 1, f"the text to replace stands {found} times in {mutant.FILE}"
                text = text.replace(mutant.OLD, mutant.NEW)
            module = ModuleType(f"minillm.{stem}")
            sys.modules[module.__name__] = module
            exec(compile(text, f"broken {path.name}", "exec"), module.__dict__)
            loaded |= {name: module.__dict__[name] for name in vars(OURS) if name in module.__dict__}
    return SimpleNamespace(**loaded)


def complaint(name, house):
    """What a promise's check says about the classes, or None; a crash says something too."""
    try:
        CHECKS[name](house)
    except Exception as failure:
        return f"{type(failure).__name__}: {failure}"
    return None
