"""What a softmax must get right, as named checks that take the function under test: `softmax(x, *, block=None)`.

Expected values are torch's in float64. Each check raises AssertionError when the fault it aims at is there.
"""

import math

import torch
from kernel_mutants import guarded_outputs, inside_nan, narrow_offsets_refused

import minillm as ml
from minillm.measure import cost

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
SHAPES = ((1, 1), (1, 131), (7, 1), (5, 33), (2, 3, 80), (2, 1, 3, 17), (64,))
MANY_ROWS = ((300, 33), (40, 1000))
BLOCKS = (None, 16, 64)
CHECKS = {}


def check(function):
    """Register a check under its own name."""
    CHECKS[function.__name__] = function
    return function


def numbers(*shape, seed=0, dtype=torch.float32):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed)).mul(3).to(dtype)


def expected(x):
    """float64 softmax, with 0 for a row of -inf."""
    x = x.double()
    return x.softmax(-1).masked_fill((x == -math.inf).all(-1, keepdim=True), 0.0)


def compare(softmax, x, where, **options):
    """Within the rounding of the exponent, which grows with the distance from the maximum, and of the output."""
    before = x.clone()
    got, want = softmax(x, **options), expected(x)
    assert got.shape == x.shape and got.dtype == x.dtype, f"{where}: {got.shape} {got.dtype}"
    assert torch.equal(x, before) or x.isnan().any(), f"{where}: wrote into its input"
    distance = (x.double() - x.double().amax(-1, keepdim=True)).nan_to_num(0.0, 0.0, 0.0).abs()
    kind = torch.finfo(x.dtype)
    bound = want * (1e-6 + 3e-7 * distance + kind.eps * 0.51) + max(kind.smallest_normal * kind.eps, 1e-37)
    wrong = ~((got.double() - want).abs() <= bound)
    assert not wrong.any(), f"{where}: at {wrong.nonzero()[0].tolist()} got {got[wrong][0]}, want {want[wrong][0]}"
    return got


@check
def values(softmax):
    for dtype in DTYPES:
        for shape in SHAPES:
            for block in BLOCKS:
                compare(softmax, numbers(*shape, dtype=dtype), f"{dtype} {shape} {block}", block=block)
        for shape in MANY_ROWS:
            compare(softmax, numbers(*shape, dtype=dtype), f"{dtype} {shape}")


@check
def extreme_logits(softmax):
    far_apart = numbers(7, 70) + torch.arange(-3.0, 4.0)[:, None] * 150
    for dtype in DTYPES:
        for block in BLOCKS:
            compare(softmax, far_apart.to(dtype), f"{dtype} rows far apart {block}", block=block)
        for shift in (-200.0, 100.0):
            rising = torch.arange(70.0)[None] * 4
            x = torch.cat([rising, rising.flip(-1), numbers(3, 70) * 10]).add(shift).to(dtype)
            for block in BLOCKS:
                compare(softmax, x, f"{dtype} {shift} {block}", block=block)


@check
def rows_sum_to_one(softmax):
    for block in BLOCKS:
        sums = softmax(numbers(9, 200), block=block).double().sum(-1)
        assert ((sums - 1).abs() < 2e-6).all(), f"sums from {sums.min()} to {sums.max()}"
        even = softmax(torch.full((3, 64), -7.0), block=block)
        assert (even == 1 / 64).all(), f"equal scores give {even.unique().tolist()}"


@check
def hidden_scores(softmax):
    """-inf at the start, the end, in every tile but one, and everywhere."""
    x = numbers(6, 70)
    x[0, :40] = x[1, 40:] = x[2, :33] = x[2, 34:] = x[3] = x[5, ::2] = -math.inf
    for block in (None, 8, 16, 64):
        got = compare(softmax, x, f"{block}", block=block)
        assert (got[3] == 0).all(), "a row of -inf is not 0"
    assert (softmax(torch.full((2, 3), -math.inf)) == 0).all()


@check
def poison_stays_in_its_row(softmax):
    x = numbers(5, 40)
    x[1, 7], x[3, 39] = math.nan, math.inf
    for block in BLOCKS:
        got = softmax(x, block=block)
        assert got[[1, 3]].isnan().all(), "NaN or inf did not reach its row"
        assert torch.equal(got[[0, 2, 4]], softmax(x[[0, 2, 4]], block=block)), "reached another row"


@check
def edges(softmax):
    """Nothing is read beside the input, nothing is written beside the output, and nothing of it is left out."""
    for shape in ((3, 33), (5, 70), (2, 3, 17), (1, 1)):
        for block in BLOCKS:
            with guarded_outputs():
                compare(softmax, inside_nan(numbers(*shape)), f"{shape} {block}", block=block)


@check
def strides(softmax):
    x = numbers(3, 2, 4, 2, 17)
    views = {
        "transposed": x[0].permute(1, 2, 0, 3),
        "four axes apart": x.permute(3, 1, 0, 2, 4),
        "expanded": x[:1, :, :1].expand(3, 2, 4, 2, 17),
        "columns": x[0, 0].transpose(1, 2),
        "every other": x[..., ::2],
        "packed": x.view(3, 2, 4, 34)[..., 17:],
        "flipped axes": x.transpose(0, 1)[1:, :, ::2],
    }
    for name, view in views.items():
        for block in BLOCKS[:2]:
            compare(softmax, view, f"{name} {block}", block=block)


@check
def wide_offsets(softmax):
    """Rows 2**30 elements apart are reached without int32 arithmetic; with no columns let through, nothing is read."""
    from minillm.kernels.runtime import launch

    module = softmax.__globals__
    x, far = torch.zeros(16), 2**30
    for flat in (True, False):
        axes = (1, 2**30, far, far, far) if flat else (4, 4, far, far, far)
        try:
            with narrow_offsets_refused():
                launch(
                    module["softmax_resident"], (9,), x, x, 0, 0, *axes, FLAT=flat, ROWS=16,
                    BLOCK_N=1, tile_steps=lambda: 9, smaller=str,
                )  # fmt: skip
                launch(
                    module["softmax_online"], (40,), x, x, 0, *axes, FLAT=flat, BLOCK_N=16, STAGES=1,
                    tile_steps=lambda: 40, smaller=str,
                )  # fmt: skip
        except Exception as error:
            raise AssertionError(f"an offset overflowed: {error}") from error


@check
def repeatable(softmax):
    """The same bits every time, for a row alone and in company."""
    for block in BLOCKS:
        x = numbers(23, 90, dtype=torch.bfloat16)
        once = softmax(x, block=block)
        assert torch.equal(once, softmax(x, block=block)), "two runs differ"
        alone = torch.cat([softmax(x[i : i + 1], block=block) for i in (0, 12, 22)])
        assert torch.equal(alone, once[[0, 12, 22]]), "a row depends on its neighbours"


@check
def traffic(softmax):
    for dtype in (torch.float32, torch.bfloat16):
        for shape in ((1, 1), (7, 90), (2, 3, 64)):
            x = numbers(*shape, dtype=dtype)
            for block in BLOCKS:
                with ml.count() as c:
                    softmax(x, block=block)
                rows = x.numel() // shape[-1]
                want = cost.softmax_bytes(rows, shape[-1], online=block is not None, dtype_bytes=x.element_size())
                assert (c.bytes_loaded, c.bytes_stored, c.flops) == (want.loaded, want.stored, 0), (
                    f"{shape} {block}: {c}"
                )
