"""Softmax in both its kernels against float64, and twelve broken ones against the same checks."""

import pytest
import torch
from kernel_mutants import complaint, mutate, names
from softmax_battery import CHECKS, compare, numbers
from torch.autograd import forward_ad

from minillm.errors import InvalidType, InvalidValue, Unsupported
from minillm.kernels import runtime
from minillm.kernels.softmax import MAX_RESIDENT, softmax
from minillm.measure import cost

pytestmark = pytest.mark.skipif(runtime.mode().name == "absent", reason="needs Triton")
interpreted = pytest.mark.skipif(runtime.mode().name != "interpreter", reason="looks inside the interpreter")
WRONG = names("softmax")


@interpreted
@pytest.mark.parametrize("name", CHECKS)
def test_softmax(name):
    CHECKS[name](softmax)


def test_the_wrong_answers_are_all_here():
    assert len(WRONG) >= 12


@interpreted
@pytest.mark.parametrize("name", WRONG)
def test_every_wrong_softmax_is_rejected(name, tmp_path):
    mutant, module = mutate(name, tmp_path)
    for expected in mutant.CAUGHT_BY:
        assert complaint(CHECKS[expected], module.softmax), f"{expected} let {name} pass"


@interpreted
def test_rows_wider_than_the_chip_go_through_the_online_kernel():
    x = numbers(2, MAX_RESIDENT + 3)
    with runtime.rehearse("sm_90") as launches:
        softmax(x[:, :-3])
        softmax(x)
        softmax(x[:, :64], block=16)
    kernels = [launch.kernel.__name__ for launch in launches]
    assert kernels == ["softmax_resident", "softmax_online", "softmax_online"]
    compare(softmax, x, "wide")


@interpreted
@pytest.mark.parametrize("shape", [(0, 5), (5, 0), (2, 0, 3), (0,)])
def test_nothing_to_do(shape):
    assert softmax(torch.empty(shape)).shape == shape


@interpreted
def test_only_what_cannot_be_followed_is_copied():
    x = numbers(3, 4, 5, 6, 16)
    for view, copied in ((x.permute(1, 0, 2, 3, 4), False), (x.permute(3, 1, 0, 2, 4), True), (x.mT, True)):
        with runtime.rehearse("sm_90") as launches:
            softmax(view)
        assert (launches[0].args[0].data_ptr() != x.data_ptr()) == copied


def refusal(error, *args, **options):
    with pytest.raises(error) as caught:
        softmax(*args, **options)
    return str(caught.value)


def test_bad_input_is_told_what_can_do_it():
    assert "torch.softmax" in refusal(Unsupported, torch.zeros(3, dtype=torch.float64))
    assert "x.float()" in refusal(InvalidType, torch.zeros(3, dtype=torch.int64))
    assert "list" in refusal(InvalidType, [1.0, 2.0])
    assert "x[None]" in refusal(InvalidValue, torch.tensor(1.0))
    assert "sparse" in refusal(InvalidType, torch.zeros(3, 3).to_sparse())
    assert "no backward" in refusal(Unsupported, torch.zeros(3, requires_grad=True))
    for block in (0, 12, -4, 2**20):
        assert "power of two" in refusal(InvalidValue, torch.zeros(3), block=block)
    assert "whole number" in refusal(InvalidType, torch.zeros(3), block=16.0)
    with torch.no_grad():
        x = torch.zeros(3, requires_grad=True)
        assert runtime.mode().name == "gpu" or not softmax(x).requires_grad


@interpreted
def test_what_would_take_minutes_is_refused_with_a_shape_that_would_not():
    with runtime.allow_tile_steps(10):
        text = refusal(InvalidValue, torch.zeros(8, 100), block=32)
        assert "got 64" in text and "1 rows of 100" in text
        softmax(torch.zeros(1, 100), block=32)


def test_bytes_by_pencil():
    assert cost.softmax_bytes(16384, 8192).moved == 2 * 16384 * 8192 * 2
    assert cost.softmax_bytes(3, 7, online=True, dtype_bytes=4) == cost.Bytes(2 * 84, 84)
    assert cost.softmax_bytes(0, 7).moved == 0
    with pytest.raises(InvalidValue):
        cost.softmax_bytes(-1, 7)


TARGETS = ("sm_80", "sm_90", "sm_100", "sm_120", "gfx942")


@pytest.mark.parametrize("target", TARGETS)
def test_compiled_without_spills(target):
    """Both kernels on every target: no spills, 16 bytes an access where rows are aligned, copies ahead where it loops."""
    from minillm.kernels.inspect import call_jobs, compile_many

    x = torch.empty(256, 131072, dtype=torch.bfloat16, device="meta")
    resident, online = compile_many(
        [*call_jobs(softmax, x[:, :16384], target=target), *call_jobs(softmax, x, target=target)]
    )
    assert (resident.kernel, online.kernel) == ("softmax_resident", "softmax_online")
    for report in (resident, online):
        assert report.fits and report.spill_bytes == 0
    if target.startswith("sm_"):
        assert "ld.global.v4" in resident.stage("ptx") or ".v4.b32" in resident.stage("ptx")
        assert online.wide_async_copies > 0


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(4096, 8192), (300, 16384), (64, 128_003), (70_001, 33), (3, 5, 7, 1000)])
def test_softmax_on_a_gpu(shape, dtype):
    x = numbers(*shape, dtype=dtype).cuda()
    compare(softmax, x, f"{shape} {dtype}")
    compare(softmax, x, f"{shape} {dtype} in tiles", block=1024)


@pytest.mark.gpu
def test_rows_beyond_2_to_the_31_on_a_gpu():
    x = torch.zeros(2**31 // 4096 + 2, 4096, dtype=torch.bfloat16, device="cuda")
    x[-1] = numbers(4096).cuda()
    compare(softmax, x[-1:], "the last row alone")
    assert torch.equal(softmax(x)[-1:], softmax(x[-1:]))


def test_tangents_and_wrapped_tensors_are_refused():
    with forward_ad.dual_level():
        text = refusal(Unsupported, forward_ad.make_dual(torch.ones(3), torch.ones(3)))
        assert "x with a tangent; use torch.softmax" in text
    with pytest.raises(Unsupported, match=r"x inside one of them; use torch.softmax there"):
        torch.func.vmap(softmax)(torch.ones(2, 3))
