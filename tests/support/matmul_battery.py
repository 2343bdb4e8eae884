"""What a matrix product must get right, as named checks that take the function under test: `matmul(a, b, *, rung=None)`.

Expected values are float64 products, and the bound is the one that holds for any order of float32 summation, plus one
rounding to the output's dtype. Each check raises AssertionError when the fault it aims at is there.
"""

import numpy
import torch
from kernel_mutants import guarded_outputs, inside_nan, narrow_offsets_refused

import minillm as ml
from minillm.kernels.tile_order import tile_order
from minillm.measure import cost

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
RUNGS = ("naive", "grouped", "persistent")
# (M, N, K): one of each, primes, one more and one less than a tile, several tiles each way.
SHAPES = ((1, 1, 1), (1, 131, 33), (67, 1, 31), (65, 63, 97), (64, 64, 32), (37, 41, 43), (130, 70, 33))
ALIGNED = ((8, 8, 8), (1, 72, 40), (136, 88, 72), (64, 64, 32), (67, 64, 104))
CHECKS = {}


def check(function):
    """Register a check under its own name."""
    CHECKS[function.__name__] = function
    return function


def numbers(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).to(dtype)


def pair(M, N, K, dtype=torch.float32):
    return numbers(M, K, seed=1, dtype=dtype), numbers(K, N, seed=2, dtype=dtype)


def cases():
    """(rung, M, N, K): descriptors want rows at multiples of 16 bytes, the other rungs take any shape."""
    for rung in RUNGS:
        yield from ((rung, *shape) for shape in (ALIGNED if rung == "persistent" else SHAPES))


def compare(matmul, a, b, where, **options):
    before = a.clone(), b.clone()
    got = matmul(a, b, **options)
    want, size = a.double() @ b.double(), a.double().abs() @ b.double().abs()
    assert got.shape == want.shape and got.dtype == a.dtype, f"{where}: {got.shape} {got.dtype}"
    assert torch.equal(a, before[0]) and torch.equal(b, before[1]), f"{where}: wrote into an operand"
    kind = torch.finfo(a.dtype)
    bound = (a.shape[1] + 4) * 2.0**-23 * size + 0.51 * kind.eps * want.abs() + kind.smallest_normal * kind.eps
    wrong = ~((got.double() - want).abs() <= bound)
    assert not wrong.any(), f"{where}: at {wrong.nonzero()[0].tolist()} got {got[wrong][0]}, want {want[wrong][0]}"
    return got


@check
def values(matmul):
    for rung, *shape in cases():
        for dtype in DTYPES:
            compare(matmul, *pair(*shape, dtype), f"{rung} {shape} {dtype}", rung=rung)


@check
def exact_products(matmul):
    """Small whole numbers and permutations have no rounding to hide behind."""
    for rung in RUNGS:
        for dtype in DTYPES:
            a, b = ((x * 2).round().clamp(-4, 4) for x in pair(72, 80, 40, dtype))
            assert torch.equal(matmul(a, b, rung=rung), (a.double() @ b.double()).to(dtype)), f"{rung} {dtype}: whole"
            b = torch.eye(40, dtype=dtype)[torch.randperm(40, generator=torch.Generator().manual_seed(3))]
            x = numbers(72, 40, dtype=dtype)
            assert torch.equal(matmul(x, b, rung=rung), x @ b), f"{rung} {dtype}: permuted"


@check
def long_sums(matmul):
    """Ones that a half-precision sum swallows one by one: 2048 + 1 is 2048 in float16, and in bfloat16."""
    for rung in RUNGS:
        for dtype in DTYPES[1:]:
            a = torch.zeros(16, 640, dtype=dtype)
            a[:, 0], a[:, 63::64] = 2048, 1
            got = matmul(a, torch.ones(640, 16, dtype=dtype), rung=rung)
            assert (got == torch.tensor(2058.0).to(dtype)).all(), f"{rung} {dtype}: {got.unique().tolist()}"


@check
def edges(matmul):
    """Nothing is read beside the operands, nothing is written beside the output, and nothing of it is left out."""
    for rung, *shape in cases():
        a, b = pair(*shape)
        with guarded_outputs():
            compare(matmul, inside_nan(a), inside_nan(b), f"{rung} {shape}", rung=rung)
            compare(matmul, inside_nan(a.T.contiguous()).T, inside_nan(b), f"{rung} {shape} a turned", rung=rung)


@check
def strides(matmul):
    a, b = pair(88, 72, 104)
    for rung in RUNGS:
        turned = [(a.T.contiguous().T, b), (a, b.T.contiguous().T), (a.T.contiguous().T, b.T.contiguous().T)]
        for number, (left, right) in enumerate(turned):
            compare(matmul, left, right, f"{rung} turned {number}", rung=rung)
        wide = numbers(88, 3 * 104)
        compare(matmul, wide[:, 104:208], b, f"{rung} packed", rung=rung)
    for rung in RUNGS[:2]:
        compare(matmul, a[::2, ::3], b[::3, ::2], f"{rung} every other", rung=rung)
        compare(matmul, a[:1].expand(70, 104), b[:, :1].expand(104, 9), f"{rung} expanded", rung=rung)


@check
def poison_stays_in_its_row(matmul):
    for rung in RUNGS:
        a, b = pair(72, 64, 40)
        a[3, 5], b[7, 11] = torch.nan, torch.inf
        nan = ~matmul(a, b, rung=rung).isfinite()
        assert nan[3].all() and nan[:, 11].all(), f"{rung}: did not reach its row or column"
        assert nan.sum() == 64 + 72 - 1, f"{rung}: reached others"


@check
def order(matmul):
    """The tiles are stored in the order that `tile_order` tells, each once."""
    from unittest.mock import patch

    from triton.runtime.interpreter import InterpreterBuilder

    real, M, N = InterpreterBuilder.create_masked_store, 64 * 10, 64 * 3
    for rung in RUNGS:
        stored = []

        def store(self, pointers, value, mask, *rest, **options):
            stored.append(int(pointers.data.flat[0]))  # noqa: B023
            return real(self, pointers, value, mask, *rest, **options)

        with patch.object(InterpreterBuilder, "create_masked_store", store):
            out = matmul(torch.ones(M, 8), torch.ones(8, N), rung=rung)
        turns = tile_order(rung, M, N, block_m=64, block_n=64, programs=4 if rung == "persistent" else None)
        want = sorted(turns, key=lambda turn: turn.program)  # the interpreter runs one program after the other
        got = [divmod((address - out.data_ptr()) // 4, N) for address in stored]
        assert [(row // 64, column // 64) for row, column in got] == [turn[1:] for turn in want], rung


@check
def wide_offsets(matmul):
    """Strides of 2**30 elements are followed without int32 arithmetic; with nothing let through, nothing is read."""
    from minillm.kernels.runtime import launch

    x, far = torch.zeros(16), 2**30
    blocks = {"BLOCK_M": 16, "BLOCK_N": 16, "BLOCK_K": 16, "PRECISION": "ieee"}
    for even in (True, False):
        try:
            with narrow_offsets_refused(), numpy.errstate(divide="ignore"):
                launch(
                    matmul.__globals__["matmul_naive"], (1,), x, x, x, 0, 0, 32, far, far, far, far,
                    **blocks, EVEN_K=even, tile_steps=lambda: 2, smaller=str,
                )  # fmt: skip
        except Exception as error:
            raise AssertionError(f"an offset overflowed: {error}") from error


@check
def repeatable(matmul):
    for rung in RUNGS:
        a, b = pair(136, 72, 104, torch.bfloat16)
        assert torch.equal(matmul(a, b, rung=rung), matmul(a, b, rung=rung)), f"{rung}: two runs differ"


@check
def traffic(matmul):
    for rung, *shape in cases():
        a, b = pair(*shape, torch.float16 if rung == "persistent" else torch.float32)
        with ml.count() as c:
            matmul(a, b, rung=rung)
        want = cost.matmul_cost(*shape, block_m=64, block_n=64, block_k=32, dtype_bytes=a.element_size())
        moved = c.bytes_loaded, c.bytes_stored, c.flops
        assert moved == (want.bytes.loaded, want.bytes.stored, want.issued), f"{rung} {shape}: {moved}, {want}"
