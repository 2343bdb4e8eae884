"""Break the cache manager on purpose: one piece of one file's text replaced, and every module loaded anew around it.

A mutant says which file it breaks, the text it looks for, what it puts there, and which promises of the battery must then be
seen to be broken. The text must stand in the file exactly once, so a mutant never goes stale unseen.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import patch

from pool_battery import CHECKS

from minillm.errors import InvalidType, InvalidValue

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "wrong_answers" / "cache"
MODULES = ("block_pool", "block_table", "prefix", "radix")
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))


def describe(name):
    """The mutant's own module: FILE, OLD, NEW, CAUGHT_BY."""
    spec = importlib.util.spec_from_file_location(f"wrong_cache_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def house_with(mutant):
    """-> the four classes, the mutant's file among theirs broken."""
    loaded = {}
    with patch.dict(sys.modules):
        for stem in MODULES:
            path = ROOT / "minillm" / "cache" / f"{stem}.py"
            text = path.read_text(encoding="utf-8")
            if path == ROOT / mutant.FILE:
                found = text.count(mutant.OLD)
                assert found == 1, f"the text to replace stands {found} times in {mutant.FILE}"
                text = text.replace(mutant.OLD, mutant.NEW)
            module = ModuleType(f"minillm.cache.{stem}")
            sys.modules[module.__name__] = module
            exec(compile(text, f"broken {path.name}", "exec"), module.__dict__)
            loaded |= {
                name: module.__dict__[name]
                for name in ("BlockPool", "BlockTable", "PrefixCache", "RadixCache")
                if name in module.__dict__
            }
    return SimpleNamespace(**loaded)


def complaint(name, house):
    """What a promise's check says about the classes, or None. A crash that is no error of ours is not a rejection."""
    try:
        CHECKS[name](house)
    except (AssertionError, InvalidType, InvalidValue) as failure:
        return str(failure) or "rejected"
    return None
