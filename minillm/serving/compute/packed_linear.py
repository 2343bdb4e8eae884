"""A weight laid out once for how it will be read: what a matrix product costs a processor is mostly the reading.

A model's weights lie row by row, as training wants them, and a product of a few rows reads them at a third of the speed of
memory. Laid out once in the order in which the product's inner loop takes them they are read at the speed of memory, and for
many rows the loop never waits. The price is memory: the model keeps its own weights, so every form but `plain` is a copy.

`compiled` reads one row's weights at the speed of memory and multiplies many as fast as a core can, by loops that a C
compiler builds for this machine. Without a compiler, `packed` gains most with a few rows, and `transposed` beats it for one
while all weights stay in the processor's cache. The 16-bit forms read half as much. How much each gives here, and how much
of a step is left beside the products, `benchmarks/serving/layouts.py` measures.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import cache, partial

import torch
import torch.nn.functional as F
from torch import Tensor

from minillm.errors import Unsupported, rule_numbers_remedy, unknown_name
from minillm.serving.compute.huge_pages import hold_in_huge_pages

# Weights of a model up to so many bytes stay in a processor's last cache from token to token.
CACHED_BYTES = 2**25
# What a packed product is quick with: fewer rows are computed as so many.
FEWEST_ROWS = 4


class Norm:
    """RMSNorm in few operations: x (…, C) -> x over its root mean square, times the weight (…, C), or None where the next
    matrix has it.

    √C · x / √(|x|² + ε · C) is x / √(mean(x²) + ε), and a hypotenuse is such a root of two squares. So the weight has √C
    in it, and `floor` is √(ε · C).
    """

    def __init__(self, weight: Tensor | None, floor: float, like: Tensor):
        self.weight, self.floor = weight, floor
        self._floor = torch.tensor(floor, dtype=like.dtype, device=like.device)

    def __call__(self, x: Tensor) -> Tensor:
        unit = x / torch.linalg.vector_norm(x, dim=-1, keepdim=True).hypot_(self._floor)
        return unit if self.weight is None else unit.mul_(self.weight)


class Linear(ABC):
    """x (n, in) -> x @ weight.T + bias (n, out), in x's dtype. Trusts its input; never differentiable."""

    @abstractmethod
    def __call__(self, x: Tensor) -> Tensor: ...

    def add(self, total: Tensor, x: Tensor) -> Tensor:
        """-> total (n, out) + self(x), which may lie where total was."""
        return self(x).add_(total)

    def after(self, norm: Norm, x: Tensor, room: Tensor | None = None) -> Tensor:
        """-> self(norm(x)) (n, out), which may lie in `room`, memory of that shape."""
        return self(norm(x))

    def gated(self, norm: Norm, x: Tensor, room: Tensor | None = None) -> Tensor:
        """A weight of gates (F, in) and of what each lets through (F, in) -> silu(gate) * up (n, F), perhaps in `room`."""
        gate, up = self(norm(x)).chunk(2, dim=-1)
        return F.silu(gate).mul_(up)


class Plain(Linear):
    """The model's own weight (out, in) and bias (out,) or None: no copy, any device and dtype."""

    def __init__(self, weight: Tensor, bias: Tensor | None):
        self.weight, self.bias = weight, bias

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)


class Transposed(Linear):
    """A copy (in, out), contiguous: one row of x weighs its rows, and they are read one behind the other."""

    def __init__(self, weight: Tensor, bias: Tensor | None):
        self.weight, self.bias = hold_in_huge_pages(weight.t().contiguous()), bias

    def __call__(self, x: Tensor) -> Tensor:
        return torch.mm(x, self.weight) if self.bias is None else torch.addmm(self.bias, x, self.weight)

    def add(self, total: Tensor, x: Tensor) -> Tensor:
        sums = torch.addmm(total, x, self.weight)
        return sums if self.bias is None else sums.add_(self.bias)


class Packed(Linear):
    """A copy in the tiles that oneDNN multiplies by, as `torch.compile` makes them when it freezes a model.

    The tiles are for a few rows at once. A row or two are repeated: the repeats are computed while memory is waited for.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None):
        self.weight = hold_in_huge_pages(torch.ops.mkldnn._reorder_linear_weight.default(weight.contiguous()))
        self.multiply, self.bias = torch.ops.mkldnn._linear_pointwise.default, bias

    def __call__(self, x: Tensor) -> Tensor:
        n = len(x)
        if n >= FEWEST_ROWS - 1 or not n:
            return self.multiply(x, self.weight, self.bias, "none", [], "")
        return self.multiply(x.repeat(FEWEST_ROWS // n, 1), self.weight, self.bias, "none", [], "")[:n]


class PackedOrTransposed(Linear):
    """Two copies: `Transposed` for a single row, `Packed` for more."""

    def __init__(self, weight: Tensor, bias: Tensor | None):
        self.one, self.many = Transposed(weight, bias), Packed(weight, bias)

    def __call__(self, x: Tensor) -> Tensor:
        return self.one(x) if len(x) == 1 else self.many(x)

    def add(self, total: Tensor, x: Tensor) -> Tensor:
        return self.one.add(total, x) if len(x) == 1 else self.many.add(total, x)


class PackedBFloat16(Linear):
    """A packed copy in bfloat16. x is rounded to it too, and so is the product; sums within it are float32."""

    def __init__(self, weight: Tensor, bias: Tensor | None):
        self.inner = Packed(weight.bfloat16(), None if bias is None else bias.bfloat16())

    def __call__(self, x: Tensor) -> Tensor:
        return self.inner.multiply(x.bfloat16(), self.inner.weight, self.inner.bias, "none", [], "").float()


class PackedFloat16(Linear):
    """A packed copy in float16, by FBGEMM; x, the sums and the product are float32, so only the weights are rounded."""

    def __init__(self, weight: Tensor, bias: Tensor | None):
        self.packed = torch.ops.quantized.linear_prepack_fp16.default(weight.contiguous(), bias)
        self.multiply = torch.ops.quantized.linear_dynamic_fp16.default

    def __call__(self, x: Tensor) -> Tensor:
        return self.multiply(x, self.packed)


def _panels(weight: Tensor, bias: Tensor | None, gated: bool = False, halves: bool = False) -> Linear:
    from minillm.serving.compute.compiled import Panels

    return Panels(weight, bias, gated, halves)


# What a weight (out, in) and a bias (out,) or None may be laid out as, by name.
LAYOUTS: dict[str, Callable[[Tensor, Tensor | None], Linear]] = {
    "plain": Plain,
    "transposed": Transposed,
    "packed": Packed,
    "packed or transposed": PackedOrTransposed,
    "compiled": _panels,
    "compiled bfloat16": partial(_panels, halves=True),
    "packed bfloat16": PackedBFloat16,
    "packed float16": PackedFloat16,
}
# Those that lie otherwise where only `gated` is asked for.
GATED = {
    "compiled": partial(_panels, gated=True),
    "compiled bfloat16": partial(_panels, gated=True, halves=True),
}
# How many bytes of copies each takes for a byte of float32 weights, but for what fills up a last tile or panel.
COPIED = {
    "plain": 0.0,
    "transposed": 1.0,
    "packed": 1.0,
    "packed or transposed": 2.0,
    "compiled": 1.0,
    "compiled bfloat16": 0.5,
    "packed bfloat16": 0.5,
    "packed float16": 0.5,
}


def choose_layout(name: str, weight_bytes: int, dtype: torch.dtype, device: torch.device, free: float) -> str:
    """A name of LAYOUTS, or "auto" -> the name to use for weights of so many bytes in all, where `free` bytes may be taken.

    "auto" is the quickest that computes what `plain` does up to rounding: `compiled` where there is a C compiler, else one
    that torch can pack, and `plain` where there is no quicker one. Raises InvalidValue for an unknown name, and Unsupported
    for a layout that this machine, torch, dtype or device has not.
    """
    fits = dtype == torch.float32 and device.type == "cpu"
    if name == "auto":
        packed = "packed or transposed" if weight_bytes <= CACHED_BYTES else "packed"
        able = (best for best in ("compiled", packed) if fits and COPIED[best] * weight_bytes <= free)
        return next((best for best in able if runs(best) and uses_all_threads(best)), "plain")
    if not isinstance(name, str) or name not in LAYOUTS:
        raise unknown_name("layout of weights", name, ["auto", *LAYOUTS])
    if name == "plain" or (name == "transposed" and dtype in (torch.float32, torch.float64)):
        return name
    if fits and name in GATED:
        from minillm.serving.compute.loops import library

        library()  # says by itself why there is none
    if not fits or not runs(name):
        rule, remedy = f"weights can be {name!r} in float32 on a processor that torch packs for", "use 'auto'"
        raise Unsupported(rule_numbers_remedy(rule, f"{dtype} on {device}", remedy))
    return name


@cache
def runs(name: str) -> bool:
    """Whether this torch can make and use the layout on its processor: asked once, of small products."""
    weight, x = torch.linspace(-1, 1, 64 * 32).view(64, 32), torch.linspace(1, -1, 6 * 32).view(6, 32)
    try:
        with torch.no_grad():
            linear, want = LAYOUTS[name](weight, None), F.linear(x, weight)
            got = torch.cat((linear(x[:1]), linear(x[1:])))
    except (AttributeError, RuntimeError):  # no such operation, none for this processor, or no compiler
        return False
    return bool((got - want).abs().max() <= 0.02 * want.abs().max())


def uses_all_threads(name: str) -> bool:
    """Whether the layout, which `runs`, is read by as many threads as torch has. Not every C compiler knows OpenMP."""
    if name != "compiled" or torch.get_num_threads() == 1:
        return True
    from minillm.serving.compute.loops import library

    return bool(library().is_threaded())
