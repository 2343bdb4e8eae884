"""The paged cache and its attention loaded anew, with one piece of one file's text replaced if asked, for tests that plant faults.

A mutant says which file it breaks, the text it looks for, what it puts there, and which named checks must reject it. The
text must stand in the file exactly once, so a mutant never goes stale unseen.
"""

import importlib.util
import sys
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from unittest.mock import patch

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "wrong_answers" / "cache_paged"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
# In the order in which they import one another.
MODULES = (
    "attention.pages", "attention.paged_plan", "attention.paged", "cache.paged_batch", "cache.paged", "cache.quantized",
)  # fmt: skip
SHOWN = ("paged_attention", "PagedCache", "PagedBatch", "QuantizedPagedCache")


def describe(name):
    """The mutant's own module: FILE, OLD, NEW, CAUGHT_BY."""
    spec = importlib.util.spec_from_file_location(f"wrong_paged_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def house_with(mutant=None):
    """-> the names of SHOWN, and `tiles`, from modules of their own, the mutant's file among them broken."""
    loaded = {}
    with patch.dict(sys.modules):
        for stem in MODULES:
            path = ROOT / "minillm" / f"{stem.replace('.', '/')}.py"
            text = path.read_text(encoding="utf-8")
            if mutant is not None and path == ROOT / mutant.FILE:
                found = text.count(mutant.OLD)
                assert found == 1, f"the text to replace stands {found} times in {mutant.FILE}"
                text = text.replace(mutant.OLD, mutant.NEW)
            module = ModuleType(f"minillm.{stem}")
            sys.modules[module.__name__] = loaded[stem] = module
            exec(compile(text, f"broken {path.name}", "exec"), module.__dict__)
    names = {name: getattr(module, name) for module in loaded.values() for name in SHOWN if hasattr(module, name)}
    return SimpleNamespace(**names, tiles=lambda **sizes: _sizes(loaded, sizes))


@contextmanager
def _sizes(loaded, sizes):
    """The constants of these names set in every module that has them: small tiles bring out what large ones hide."""
    places = [(m, name, getattr(m, name)) for m in loaded.values() for name in sizes if hasattr(m, name)]
    for module, name, _ in places:
        setattr(module, name, sizes[name])
    try:
        yield
    finally:
        for module, name, before in places:
            setattr(module, name, before)
