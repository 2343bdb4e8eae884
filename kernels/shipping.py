"""Pack a kernel so that another process can have it, wherever it was written: a module, a notebook cell, a test.

A kernel is source text plus the few names that text uses: other kernels, constants, the language. `pack` collects these
by looking at the function itself, and `Parcel.open` builds the same functions again, at their own file names and line
numbers, so that what a compiler reports about line 40 is line 40 of the learner's own cell.
"""

from __future__ import annotations

import ast
import builtins
import copy
import dis
import importlib
import inspect
import linecache
import textwrap
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minillm.errors import InvalidType, rule_numbers_remedy

PLAIN = (bool, int, float, str, bytes, type(None))
HOME = Path(__file__).parents[1]


@dataclass(frozen=True)
class Reference:
    """How a value travels: "value" as it is, "constexpr" wrapped again, "tuple" item by item, "function" by its number in
    the parcel, "module" by its name, "import" by its module and name."""

    kind: str
    value: Any


@dataclass(frozen=True)
class Function:
    """One function of a parcel: its text with its decorators, where it stands, and what its names mean."""

    name: str
    module: str
    file: str
    line: int
    source: str
    names: dict[str, Reference]


@dataclass(frozen=True)
class Parcel:
    """A kernel with its arguments, everything they need, and the files that the functions were written in."""

    kernel: Reference
    args: tuple[Reference, ...]
    constants: dict[str, Reference]
    functions: tuple[Function, ...]
    files: dict[str, str]

    def open(self) -> tuple[Any, tuple[Any, ...], dict[str, Any]]:
        """-> (kernel, args, constants), made anew in this process."""
        for file, text in self.files.items():
            # No time stamp: the text is what was packed, whatever lies on the disk by now.
            linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        bench = _Bench(self)
        kernel = bench.value(self.kernel)
        return (
            kernel if hasattr(kernel, "fn") else importlib.import_module("triton").jit(kernel),
            tuple(bench.value(argument) for argument in self.args),
            {name: bench.value(constant) for name, constant in self.constants.items()},
        )

    @property
    def entry(self) -> Function:
        return self.functions[self.kernel.value]


def pack(kernel: Any, args: tuple[Any, ...], constants: dict[str, Any], tensor: Callable[[Any], Any]) -> Parcel:
    """A kernel (compiled or interpreted form) and its arguments -> a Parcel; `tensor` says what travels for a tensor.

    Raises InvalidType for what is no kernel or cannot travel.
    """
    function = python_function(kernel)
    if function is None:
        remedy = "pass the @triton.jit function itself, with its arguments after it"
        raise InvalidType(rule_numbers_remedy("this takes a Triton kernel", type(kernel).__name__, remedy))
    packer = _Packer(tensor)
    entry = packer.function(function)
    sent = tuple(packer.argument(argument) for argument in args)
    fixed = {name: packer.argument(constant) for name, constant in constants.items()}
    return Parcel(entry, sent, fixed, tuple(packer.functions), packer.files)


def python_function(kernel: Any) -> types.FunctionType | None:
    """The Python function inside a kernel of either form, or None."""
    while not isinstance(kernel, types.FunctionType):
        kernel = getattr(kernel, "fn", None)
        if kernel is None:
            return None
    return kernel


def seen_from_home(file: str) -> str:
    """A file's path without that of the checkout it lies in: the same kernel of two checkouts is compiled once."""
    path = Path(file)
    return path.relative_to(HOME).as_posix() if path.is_relative_to(HOME) else file


class _Packer:
    """Walks from a kernel to all that it names."""

    def __init__(self, tensor: Callable[[Any], Any]) -> None:
        self.tensor = tensor
        self.functions: list[Any] = []
        self.files: dict[str, str] = {}
        self._numbers: dict[int, int] = {}

    def function(self, function: types.FunctionType) -> Reference:
        if id(function) not in self._numbers:
            self._numbers[id(function)] = len(self.functions)
            self.functions.append(None)
            self.functions[self._numbers[id(function)]] = self._describe(function)
        return Reference("function", self._numbers[id(function)])

    def _describe(self, function: types.FunctionType) -> Function:
        try:
            lines, start = inspect.getsourcelines(function)
        except (OSError, TypeError):
            rule = "a kernel is compiled from its source text, which must be found"
            remedy = "define it in a file or a notebook cell"
            raise InvalidType(rule_numbers_remedy(rule, f"{function.__name__} without any", remedy)) from None
        written, source = function.__code__.co_filename, textwrap.dedent("".join(lines))
        file = seen_from_home(written)
        self.files.setdefault(file, "".join(linecache.getlines(written)))
        scope = _scope(function)
        found = {name: self.reference(scope[name]) for name in _names_used(function, source) if name in scope}
        names = {name: reference for name, reference in found.items() if reference is not None}
        return Function(function.__name__, function.__module__, file, start, source, names)

    def reference(self, value: Any) -> Reference | None:
        """How a name's value travels; None for what no kernel can use, so that the compiler says so in its own words."""
        if isinstance(value, types.ModuleType):
            return Reference("module", value.__name__)
        if type(value).__name__ == "constexpr" and _is_tritons(type(value)):
            inner = self.reference(value.value)
            return inner and Reference("constexpr", inner)
        if isinstance(value, PLAIN) or (_is_tritons(type(value)) and type(value).__name__ == "dtype"):
            return Reference("value", value)
        if isinstance(value, (tuple, list)):
            items = [self.reference(item) for item in value]
            return None if None in items else Reference("tuple", tuple(items))
        function = python_function(value)
        if function is not None and not function.__module__.startswith("triton."):
            return self.function(function)
        module, name = getattr(value, "__module__", None), getattr(value, "__name__", None)
        return Reference("import", (module, name)) if module and name and module != "__main__" else None

    def argument(self, value: Any) -> Reference:
        """How a launch argument travels: tensors as `tensor` makes them, the rest as names do."""
        if hasattr(value, "data_ptr"):
            return Reference("value", self.tensor(value))
        if type(value).__name__ == "TensorDescriptor":
            twin = copy.copy(value)
            twin.base = self.tensor(value.base)
            return Reference("value", twin)
        if type(value).__module__ == "numpy" and hasattr(value, "item"):
            value = value.item()
        if type(value) is tuple:
            return Reference("tuple", tuple(self.argument(item) for item in value))
        reference = self.reference(value)
        if reference is None:
            rule = "kernels take tensors, numbers, None, and constants known when they are compiled"
            raise InvalidType(rule_numbers_remedy(rule, type(value).__name__, "pass one of these"))
        return reference


def _is_tritons(kind: type) -> bool:
    return kind.__module__.split(".")[0] == "triton"


def _scope(function: types.FunctionType) -> dict[str, Any]:
    scope = dict(function.__globals__)
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            scope[name] = cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    return scope


def _names_used(function: types.FunctionType, source: str) -> list[str]:
    """The outer names of a function: those its body loads, and those of its decorators, defaults and annotations."""
    names = dict.fromkeys(_names_loaded(function.__code__))
    definition = ast.parse(source).body[0]
    if isinstance(definition, ast.FunctionDef):
        head = [*definition.decorator_list, definition.args, *filter(None, [definition.returns])]
        names |= dict.fromkeys(n.id for part in head for n in ast.walk(part) if isinstance(n, ast.Name))
    return [name for name in names if not hasattr(builtins, name)]


def _names_loaded(code: types.CodeType) -> Iterator[str]:
    yield from code.co_freevars
    yield from (step.argval for step in dis.get_instructions(code) if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"))
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names_loaded(constant)


class _Bench:
    """Where a parcel's functions are put together again, each in a namespace of its own."""

    def __init__(self, parcel: Parcel) -> None:
        self.parcel = parcel
        self._made: dict[int, Any] = {}

    def value(self, reference: Reference) -> Any:
        kind, value = reference.kind, reference.value
        if kind == "function":
            return self.function(value)
        if kind == "tuple":
            return tuple(self.value(item) for item in value)
        if kind == "constexpr":
            return importlib.import_module("triton.language").constexpr(self.value(value))
        if kind == "module":
            return importlib.import_module(value)
        if kind == "import":
            return getattr(importlib.import_module(value[0]), value[1])
        return value

    def function(self, number: int) -> Any:
        if number not in self._made:
            self._made[number] = None  # a function that names itself finds itself once it is defined
            self._made[number] = self._define(self.parcel.functions[number])
        return self._made[number]

    def _define(self, function: Function) -> Any:
        scope: dict[str, Any] = {"__name__": function.module}
        for name, reference in function.names.items():
            try:
                scope[name] = self.value(reference)
            except (ImportError, AttributeError):  # the compiler will say that it misses the name, if it does
                continue
        text = "\n" * (function.line - 1) + function.source
        exec(compile(text, function.file, "exec"), scope)
        return scope[function.name]
