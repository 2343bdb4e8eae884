"""Break a kernel file on purpose: the file as it is, with one piece of its text replaced, imported under another name.

A mutant says which file it breaks, the text it looks for, what it puts there, and which named checks must reject it. The
text must stand in the file exactly once, so a mutant never goes stale unseen.
"""

import importlib.util
import sys
from contextlib import contextmanager
from pathlib import Path
from unittest.mock import patch

import torch

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "wrong_answers" / "kernels"


def names(prefix):
    """The mutants whose file names begin so."""
    return sorted(path.stem for path in FOLDER.glob(f"{prefix}_*.py"))


def load(path, name):
    """Import a file under a name; inspect finds its source, which Triton wants."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


def mutate(name, folder):
    """-> (the mutant's description, the broken module), the latter written to `folder`."""
    mutant = load(FOLDER / f"{name}.py", f"wrong_kernel_{name}")
    text = (ROOT / mutant.FILE).read_text(encoding="utf-8")
    assert text.count(mutant.OLD) == 1, f"{name}: its text stands {text.count(mutant.OLD)} times in {mutant.FILE}"
    path = folder / f"{name}.py"
    path.write_text(text.replace(mutant.OLD, mutant.NEW), encoding="utf-8")
    return mutant, load(path, f"broken_kernel_{name}")


def complaint(check, function):
    """What a check says about a function, or None. Only an AssertionError counts: a crash is not a rejection."""
    try:
        check(function)
    except AssertionError as failure:
        return str(failure) or "rejected"
    return None


@contextmanager
def guarded_outputs():
    """Outputs made by `torch.empty` begin as NaN, and lie between guards that must be untouched afterwards."""
    real, guards = torch.empty, []

    def empty(*size, **options):
        shape = real(*size, device="meta").shape
        around = real(shape.numel() + 256, **options).fill_(4096.0)
        guards.extend([around[:128], around[shape.numel() + 128 :]])
        return around[128 : shape.numel() + 128].fill_(torch.nan).view(shape)

    with patch.object(torch, "empty", empty):
        yield
    assert all((guard == 4096.0).all() for guard in guards), "wrote beside its output"


@contextmanager
def new_memory_holds_nan():
    """Memory that nobody has written to reads NaN, and not what an earlier call left there, which may be the right answer."""
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(False)


def inside_nan(x):
    """The same numbers as a view with NaN all around it, also between its rows, which begin at multiples of 16 bytes."""
    padded = x.new_full([-(-size // 8) * 8 + 16 for size in x.shape], torch.nan)
    view = padded[tuple(slice(8, 8 + size) for size in x.shape)]
    return view.copy_(x)


@contextmanager
def narrow_offsets_refused():
    """Interpreted kernels raise where an int32 sum or product overflows, as they would on a GPU in silence."""
    import dataclasses

    from triton.runtime.interpreter import interpreter_builder

    strict = dataclasses.replace(interpreter_builder.options, debug=True)
    with patch.object(interpreter_builder, "options", strict):
        yield
