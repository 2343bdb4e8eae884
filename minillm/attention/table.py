"""The table of backends: which forms of attention exist, which can run here, and what each one can compute.

Choosing a form is choosing a name. A form that cannot run keeps its row and says why, so a reader learns what is
missing from the same table that tells what is there. To add a form: write one function that returns its `Backend`, and
add one line to `CREATORS`; the function imports the form only when the row is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, NoReturn

from minillm.errors import InvalidType, Unsupported, rule_numbers_remedy, unknown_name

OPTIONS = ("causal", "window", "softcap", "sinks", "scale", "return_lse")


def _cannot_run(*_: Any, **__: Any) -> NoReturn:
    raise Unsupported("this backend is not available; print ml.backends() to see why, and what to use.")


@dataclass(frozen=True)
class Backend:
    """One form of attention: its name, whether it can run here and why, and the options it can compute.

    `run` has `ml.attention`'s signature without `backend`, takes only the options listed, and trusts its arguments.
    `fits(q)` tells whether "auto" may choose it for these queries; a form asked for by name says itself what it lacks.
    """

    name: str
    available: bool
    why: str
    options: frozenset[str] = frozenset()
    run: Callable[..., Any] = _cannot_run
    fits: Callable[[Any], bool] = lambda q: True

    def __str__(self) -> str:
        return f"{self.name:<8}{'yes' if self.available else 'no':<11}{self.why}"


def _naive() -> Backend:
    from minillm.attention.naive import naive_attention

    return Backend("naive", True, "a few lines of torch; every option; the oracle", frozenset(OPTIONS), naive_attention)


def _sdpa() -> Backend:
    from minillm.attention.sdpa import OPTIONS as options
    from minillm.attention.sdpa import attend

    return Backend("sdpa", True, "torch's fused call; no softcap, no return_lse", options, attend)


def _tiled() -> Backend:
    from minillm.attention.tiled import tiled_attention

    return Backend("tiled", True, "the kernel's loops in torch; every option", frozenset(OPTIONS), tiled_attention)


def _triton() -> Backend:
    from minillm.kernels.runtime import mode

    here = mode()
    if here.name == "absent":
        return Backend("triton", False, f"{here.why}; use 'tiled'")
    from minillm.kernels import flash_attention
    from minillm.kernels.flash_attention import DTYPES, WIDEST

    def fits(q: Any) -> bool:
        return here.name == "gpu" and q.dtype in DTYPES and q.shape[-1] <= WIDEST

    why = f"flash attention, {here}; no float64"
    return Backend("triton", True, why, frozenset(OPTIONS), flash_attention, fits)


CREATORS: dict[str, Callable[[], Backend]] = {
    "naive": _naive,
    "tiled": _tiled,
    "sdpa": _sdpa,
    "triton": _triton,
}

# "auto" takes the first of these that can compute the options asked for, by where the queries are.
PREFERENCE = {"cpu": ("sdpa", "naive"), "cuda": ("sdpa", "triton", "naive")}


@cache
def find_backend(name: str) -> Backend:
    """The row called `name`, made on first use. Raises InvalidValue, with the nearest name, when there is none."""
    if name not in CREATORS:
        raise unknown_name("backend", name, [*CREATORS, "auto"])
    return CREATORS[name]()


def choose_backend(name: str, needed: tuple[str, ...], q: Any) -> Backend:
    """The backend `name` (or the best one, for "auto" and the queries `q`) that can compute every option in `needed`.

    Raises InvalidValue for an unknown name and Unsupported for a form that is not here or lacks an option, naming the
    ones that do.
    """
    if not isinstance(name, str):
        raise InvalidType(
            rule_numbers_remedy("backend must be a name", repr(name), "print ml.backends() for the names")
        )
    if name == "auto":
        rows = map(find_backend, PREFERENCE.get(q.device.type, PREFERENCE["cpu"]))
        return next(b for b in rows if b.available and b.options.issuperset(needed) and b.fits(q))
    backend = find_backend(name)
    if not backend.available:
        raise Unsupported(f"backend {name!r} is not available: {backend.why}.")
    missing = [option for option in needed if option not in backend.options]
    if missing:
        able = [repr(b.name) for b in backends().values() if b.available and b.options.issuperset(needed)]
        raise Unsupported(
            f"backend {name!r} cannot compute {' and '.join(missing)}; it computes {', '.join(sorted(backend.options))}; "
            f"use {' or '.join(able)}, or backend='auto'."
        )
    return backend


class Backends(Mapping[str, Backend]):
    """Name -> Backend, in the table's order; printing it prints the table.

    An unknown name is refused with InvalidValue, as everywhere in this file; ask `name in backends()` first.
    """

    def __getitem__(self, name: str) -> Backend:
        return find_backend(name)

    def __contains__(self, name: object) -> bool:
        return name in CREATORS

    def __iter__(self) -> Iterator[str]:
        return iter(CREATORS)

    def __len__(self) -> int:
        return len(CREATORS)

    def __repr__(self) -> str:
        return "\n".join([f"{'name':<8}{'available':<11}why", *map(str, self.values())])


def backends() -> Backends:
    """Every form of attention by name: `.available` tells whether it runs here, `.why` tells why or what to use."""
    return Backends()
