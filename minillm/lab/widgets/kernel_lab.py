"""Which form is better, and on what grounds? Any operator's rungs and your own function, side by side.

Each contestant is run on the same data and gets four grades: its error against float64, the bytes it moves, the FLOPs it
issues, and its time where a time is honest. Bytes and FLOPs are exact and put it on the roofline of any machine; times
come from this machine for compiled code, from a record for others, and from nobody for an interpreted kernel.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minillm.errors import InvalidType, InvalidValue, rule_numbers_remedy, unknown_name
from minillm.lab.widgets.base import STILL_NOTE, Choice, Explorer, State, Still, TextLine, live_widgets_available
from minillm.lab.widgets.comparison import Comparison, describe, describe_lasting
from minillm.lab.widgets.kernel_picture import draw_comparison
from minillm.measure.numbers import require_positive

if TYPE_CHECKING:
    from minillm.lab.widgets.kernel_panel import KernelPanel
    from minillm.lab.widgets.operators import Rung, Shape

MINE, ALL, YOURS = "mine", "all", "yours"
TITLE = "Kernel lab"


class ComparisonStill(Still):
    """The kernel lab where no widget can live: the default comparison, with its table."""

    @property
    def data(self) -> Comparison:
        """The default comparison, run again."""
        return self.explorer.data()

    def table(self) -> list[dict[str, Any]]:
        """The rows of the default comparison."""
        return self.data.table()

    def to_markdown(self) -> str:
        """The default comparison as Markdown."""
        return self.data.to_markdown()

    def to_csv(self) -> str:
        """The default comparison as CSV."""
        return self.data.to_csv()


@dataclass(frozen=True)
class KernelLab(Explorer[Comparison]):
    """The explorer behind the widget; `lasting(data)` is the text that a notebook keeps."""

    lasting: Callable[[Comparison], str] = describe_lasting


def compare_kernels(
    mine: Callable[..., Any] | None = None,
    operator: str = "attention",
    *,
    rungs: Sequence[str] | None = None,
    shape: Mapping[str, int] | None = None,
    causal: bool = True,
    dtype: str = "float32",
    machine: str = "this machine",
    seconds: float = 0.05,
) -> KernelPanel | ComparisonStill:
    """Your function, an operator's name -> a widget: error, bytes, FLOPs, roofline and time of every rung, side by side.

    `mine` takes what the operator takes: attention `(q (B, L, H, D), k, v (B, S, G, D), causal=)`, softmax `(x (M, N))`,
    matmul `(a (M, K), b (K, N))`. `rungs` are names (None: all), `shape` your own sizes by letter, `machine` a name in
    `machines()`, `seconds` the time for each timed contestant. `.table()`, `.to_markdown()` and `.to_csv()` export what is
    shown. Raises InvalidType for what cannot be called, InvalidValue for unknown names, sizes below 1 and shapes too large to hold.
    """
    lab = explore_kernels(
        mine, operator, rungs=rungs, shape=shape, causal=causal, dtype=dtype, machine=machine, seconds=seconds
    )
    if not live_widgets_available():
        still = lab.still()
        return ComparisonStill(still.png, f"{still.text}\n{STILL_NOTE}", lab)
    from minillm.lab.widgets.kernel_panel import KernelPanel

    return KernelPanel(lab)


def explore_kernels(
    mine: Callable[..., Any] | None = None,
    operator: str = "attention",
    *,
    rungs: Sequence[str] | None = None,
    shape: Mapping[str, int] | None = None,
    causal: bool = True,
    dtype: str = "float32",
    machine: str = "this machine",
    seconds: float = 0.05,
) -> KernelLab:
    """The same without the controls: `.data(dtype="bfloat16")`, `.text(operator="softmax")`, `.still(...)`."""
    from minillm.lab.widgets.machines import machines
    from minillm.lab.widgets.operators import DTYPES, OPERATORS, SHAPES

    known = machines()
    for kind, name, names in (("operator", operator, OPERATORS), ("dtype", dtype, DTYPES), ("machine", machine, known)):
        if not isinstance(name, str) or name not in names:
            raise unknown_name(kind, name, names)
    require_positive(seconds=seconds)
    if mine is not None and not callable(mine):
        raise InvalidType(rule_numbers_remedy("mine must be a function", repr(mine), "pass it without calling it"))
    own = None if shape is None else _own_shape(operator, shape)
    shapes = SHAPES if own is None else (YOURS, *SHAPES)
    wanted = ALL if rungs is None else _line(rungs)
    _choose(wanted, _rungs(operator, operator, mine))
    controls = (
        Choice("operator", "Operator", "", tuple(OPERATORS), operator),
        TextLine("contestants", "Contestants", f"names, or {ALL}", wanted),
        Choice("shape", "Shape", "sizes below", shapes, shapes[0]),
        Choice("dtype", "Numbers", "bytes each", tuple(DTYPES), dtype, tuple(f"{n}, {b}" for n, b in DTYPES.items())),
        Choice("causal", "Causal", "attention only", (True, False), causal, ("yes", "no")),
        Choice("machine", "Machine", "ceilings, times", tuple(known), machine),
    )

    def compute(state: State) -> Comparison:
        name = state["operator"]
        sizes = _sizes(name, state["shape"], operator, own)
        chosen = _choose(state["contestants"], _rungs(name, operator, mine))
        return compare(name, chosen, sizes, state["dtype"], state["causal"], known[state["machine"]], seconds)

    return KernelLab(TITLE, controls, compute, draw_comparison, describe)


def compare(
    operator: str, rungs: Mapping[str, Rung], shape: Shape, dtype: str, causal: bool, machine: Any, seconds: float
) -> Comparison:
    """Run every rung at one shape and look up what the machine's record says: the widget's `state -> data`."""
    import torch

    from minillm.kernels.runtime import mode
    from minillm.lab.checks.compare import TOLERANCES
    from minillm.lab.widgets.contest import judge, make_match
    from minillm.lab.widgets.machines import THIS_MACHINE, recorded
    from minillm.lab.widgets.operators import DTYPES, OPERATORS

    row = OPERATORS[operator]
    match = make_match(row, shape, dtype, causal, "cuda" if mode().name == "gpu" else "cpu")
    timed = seconds if machine.name == THIS_MACHINE else None
    entries = tuple(judge(name, rung, match, seconds=timed) for name, rung in rungs.items())
    known = recorded(machine.record, row, shape, dtype, causal)
    return Comparison(
        operator=operator,
        shape=shape,
        dtype=dtype,
        causal=causal if row.causal else None,
        machine=machine.name,
        ceilings=machine.ceilings(dtype),
        entries=entries,
        recorded=known.entries,
        recorded_note=known.note,
        least_bytes=row.least_bytes(shape, DTYPES[dtype]),
        useful_flops=row.useful_flops(shape, causal),
        tolerance=TOLERANCES[getattr(torch, dtype)],
    )


def _rungs(operator: str, home: str, mine: Callable[..., Any] | None) -> dict[str, Rung]:
    """The operator's rungs, and the learner's function where it belongs: at the operator it was written for."""
    from minillm.lab.widgets.operators import OPERATORS

    ladder = dict(OPERATORS[operator].rungs())
    return ladder if mine is None or operator != home else ladder | {MINE: mine}


def _line(rungs: Sequence[str]) -> str:
    """Names as a line of text, which is how the widget has them; one name may stand alone."""
    names = [rungs] if isinstance(rungs, str) else rungs
    if not isinstance(names, Sequence) or not all(isinstance(name, str) for name in names):
        rule = "rungs must be a list of names, or None for all"
        raise InvalidType(rule_numbers_remedy(rule, f"{rungs!r:.60}", "pass names such as ['naive', 'triton']"))
    return ", ".join(names)


def _choose(text: str, rungs: Mapping[str, Rung]) -> Mapping[str, Rung]:
    """The rungs named in a line of text, between commas or spaces, in the ladder's order; "all" is all of them."""
    parts = [part.strip() for part in text.split(",") if part.strip()]
    names = [name for part in parts for name in ([part] if part in rungs else part.split())]
    if not names or ALL in names:
        return rungs
    for name in names:
        if name not in rungs:
            raise unknown_name("contestant", name, [*rungs, ALL])
    return {name: rung for name, rung in rungs.items() if name in names}


def _own_shape(operator: str, shape: Mapping[str, int]) -> Shape:
    from minillm.lab.widgets.operators import OPERATORS, SHAPES

    sizes = OPERATORS[operator].shapes[SHAPES[0]]
    if not isinstance(shape, Mapping):
        remedy = f"pass some of {', '.join(sizes)}, such as {{{next(iter(sizes))!r}: 64}}"
        raise InvalidType(rule_numbers_remedy("shape must map letters to sizes", f"{shape!r:.60}", remedy))
    for letter, size in shape.items():
        if letter not in sizes:
            raise unknown_name(f"size of {operator}", letter, sizes)
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise InvalidValue(rule_numbers_remedy(f"{letter} must be a whole number above 0", repr(size), "try 64"))
    return {**sizes, **shape}


def _sizes(operator: str, name: str, home: str, own: Shape | None) -> Shape:
    from minillm.lab.widgets.operators import OPERATORS

    if name != YOURS:
        return OPERATORS[operator].shapes[name]
    if operator != home or own is None:
        raise InvalidValue(f"your shape is one of {home}, not of {operator}; choose another shape, or {home}.")
    return own
