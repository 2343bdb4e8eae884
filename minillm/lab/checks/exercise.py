"""One exercise as data: what to write, the four layers of cases that judge it, and three hints.

Declaring is all an author does. `minillm/lab/exercises/__init__.py` is the guide.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from minillm.errors import InvalidValue
from minillm.lab.checks.cases import Case
from minillm.lab.checks.result import LAYERS


@dataclass(frozen=True)
class Exercise:
    """An exercise `id` such as "01.attention", with its cases by layer; validated when built.

    `signature` is the stub's first line without `def`, such as "attention(q, k, v, causal=False)"; leave it empty for a
    question answered by a plain value. `forbid` holds stems of torch names the answer may not call. `hints` are exactly
    three: the idea, the invariant, the skeleton. `solution` says where a right answer can be read. `interpreted` is for
    answers that launch kernels of their own: they are judged where Triton interprets, and not attempted elsewhere.
    """

    id: str
    title: str
    statement: str
    signature: str
    layers: Mapping[str, Sequence[Case]]
    hints: tuple[str, str, str]
    solution: str
    forbid: tuple[str, ...] = ()
    time_limit_s: float = 30.0
    interpreted: bool = False

    def __post_init__(self) -> None:
        unknown = [layer for layer in self.layers if layer not in LAYERS]
        if unknown or not any(self.layers.values()):
            raise InvalidValue(
                f"exercise {self.id}: layers must be some of {LAYERS}; got {list(self.layers)}; rename them."
            )
        if len(self.hints) != 3:
            raise InvalidValue(
                f"exercise {self.id}: hints must be three (idea, invariant, skeleton); got {len(self.hints)}; write the rest."
            )
        names = [case.name for layer in LAYERS for case in self.layers.get(layer, ())]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise InvalidValue(f"exercise {self.id}: case names must differ; got {twice} twice; rename one.")
        self.parameters  # noqa: B018  (parses the signature, so that a typo shows at import)

    @property
    def lesson(self) -> str:
        """The two digits before the dot."""
        return self.id.split(".", 1)[0]

    @property
    def parameters(self) -> tuple[str, ...]:
        """The parameter names of `signature`, in order."""
        if not self.signature:
            return ()
        arguments = ast.parse(f"def {self.signature}: ...").body[0].args  # type: ignore[attr-defined]
        return tuple(a.arg for a in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs))
