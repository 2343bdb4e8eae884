"""The matmul ladder against float64, tile orders against a picture everybody knows, and broken kernels."""

import pytest
import torch
from kernel_mutants import complaint, mutate, names
from matmul_battery import CHECKS, RUNGS, compare, numbers, pair

from minillm.errors import InvalidType, InvalidValue, Unsupported
from minillm.kernels import runtime
from minillm.kernels.matmul import descriptor_stride, matmul
from minillm.kernels.matmul_tiles import MULTIPROCESSORS, TILES, choose_tiles
from minillm.kernels.tile_order import GROUP_M, l2_loads, tile_order
from minillm.measure import cost

pytestmark = pytest.mark.skipif(runtime.mode().name == "absent", reason="needs Triton")
interpreted = pytest.mark.skipif(runtime.mode().name != "interpreter", reason="looks inside the interpreter")
WRONG = names("matmul")
TARGETS = ("sm_80", "sm_90", "sm_100", "sm_120", "gfx942")


@interpreted
@pytest.mark.parametrize("name", CHECKS)
def test_matmul(name):
    CHECKS[name](matmul)


def test_the_wrong_answers_are_all_here():
    assert len(WRONG) >= 12


@interpreted
@pytest.mark.parametrize("name", WRONG)
def test_every_wrong_matmul_is_rejected(name, tmp_path):
    mutant, module = mutate(name, tmp_path)
    for expected in mutant.CAUGHT_BY:
        assert complaint(CHECKS[expected], module.matmul), f"{expected} let {name} pass"


@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize(("rows", "columns", "group"), [(9, 9, 3), (10, 7, 4), (1, 5, 8), (5, 1, 8), (17, 3, 8)])
def test_every_tile_is_taken_once(rung, rows, columns, group):
    turns = tile_order(rung, rows * 16, columns * 16 - 3, block_m=16, block_n=16, group_m=group, programs=4)
    assert sorted(turn[1:] for turn in turns) == [(r, c) for r in range(rows) for c in range(columns)]
    if rung == "persistent":
        assert [turn.program for turn in turns] == [t % 4 for t in range(rows * columns)]
        assert [turn[1:] for turn in turns] == [
            turn[1:]
            for turn in tile_order("grouped", rows * 16, columns * 16 - 3, block_m=16, block_n=16, group_m=group)
        ]
    else:
        assert [turn.program for turn in turns] == list(range(rows * columns))


def test_groups_go_down_before_they_go_right():
    turns = [turn[1:] for turn in tile_order("grouped", 80, 48, block_m=16, block_n=16, group_m=3)]
    first = [(r, c) for c in range(3) for r in range(3)]
    assert turns == first + [(r, c) for c in range(3) for r in (3, 4)]


def test_nine_tiles_in_a_square_need_54_blocks_where_a_row_of_them_needs_90():
    """The picture in Triton's matmul tutorial: nine by nine blocks, the first nine tiles of the output."""
    shape = dict(block_m=1, block_n=1, wave=9, group_m=3, dtype_bytes=1)
    blocks = {rung: l2_loads(rung, 9, 9, 9, **shape).missed / 9 for rung in ("naive", "grouped", "persistent")}
    assert blocks == {"naive": 90, "grouped": 54, "persistent": 54}


def test_what_is_requested_from_the_cache_is_what_the_kernels_load():
    M, N, K, blocks = 1000, 777, 321, dict(block_m=128, block_n=64)
    want = cost.matmul_cost(M, N, K, **blocks, block_k=32).bytes.loaded
    for rung in RUNGS:
        loads = l2_loads(rung, M, N, K, **blocks)
        assert loads.requested == want and loads.missed < want
        alone = l2_loads(rung, M, N, K, **blocks, wave=1)
        assert alone.missed == want, "tiles that share no cache fetch everything"
        assert l2_loads(rung, M, N, K, **blocks, wave=10**6).missed == (M * K + K * N) * 2


def test_cost_by_pencil():
    priced = cost.matmul_cost(100, 70, 40, block_m=64, block_n=64, block_k=32, dtype_bytes=4)
    assert priced.bytes == cost.Bytes((2 * 100 * 40 + 2 * 40 * 70) * 4, 100 * 70 * 4)
    assert (priced.tile_steps, priced.issued, priced.useful) == (8, 8 * 2 * 64 * 64 * 32, 2 * 100 * 70 * 40)
    assert cost.matmul_cost(5, 5, 0, block_m=16, block_n=16, block_k=16).bytes == cost.Bytes(0, 50)
    with pytest.raises(InvalidValue):
        cost.matmul_cost(5, 5, 5, block_m=0, block_n=16, block_k=16)


@interpreted
@pytest.mark.parametrize(("M", "N", "K"), [(0, 3, 4), (3, 0, 4), (3, 4, 0), (0, 0, 0)])
def test_nothing_to_multiply(M, N, K):
    for rung in (None, *RUNGS):
        out = matmul(torch.empty(M, K), torch.empty(K, N), rung=rung)
        assert out.shape == (M, N) and (out == 0).all()


def launched(target, *args, **options):
    with runtime.rehearse(target) as launches:
        matmul(*args, **options)
    [launch] = launches
    return launch


def test_the_rung_is_chosen_by_what_the_chip_and_the_strides_allow():
    a, b = (x.bfloat16() for x in pair(64, 64, 64))
    odd, inner = torch.zeros(64, 65, dtype=torch.bfloat16)[:, :64], a.view(32, 2, 64)[:, 1]
    name = {target: launched(target, a, b).kernel.__name__ for target in (*TARGETS, "sm_103", "interpreter")}
    assert name == dict.fromkeys(("sm_90", "sm_100", "sm_120", "sm_103"), "matmul_persistent") | dict.fromkeys(
        ("sm_80", "gfx942", "interpreter"), "matmul_grouped"
    )
    assert launched("sm_90", a.T, b.T).kernel.__name__ == "matmul_persistent"
    assert launched("sm_90", inner, b).kernel.__name__ == "matmul_persistent"
    for left, right in (
        (odd, b),
        (a, odd.T),
        (a[:, ::2], b[:32]),
        (a.flatten()[1:-63].view(63, 64), b),
        (a, b[:, :63]),
    ):
        assert launched("sm_90", left, right).kernel.__name__ == "matmul_grouped"
    assert launched("sm_90", a, b, rung="naive").kernel.__name__ == "matmul_naive"


def test_a_descriptor_follows_one_contiguous_dimension_at_16_bytes():
    x = torch.zeros(40, 64)
    assert descriptor_stride(x) == descriptor_stride(x.T) == 64
    assert descriptor_stride(x[:, 4:]) == 64 and descriptor_stride(x[:, 1:]) is None
    assert descriptor_stride(x[:, ::2]) is None and descriptor_stride(x[:1].expand(40, 64)) is None
    assert descriptor_stride(torch.zeros(40, 65)) is None


def test_a_persistent_kernel_starts_no_more_programs_than_it_has_tiles():
    big, small = (torch.empty(n, n, dtype=torch.float16, device="meta") for n in (8192, 256))
    for target in ("sm_90", "sm_100"):
        assert launched(target, big, big).grid == (MULTIPROCESSORS[target],)
    assert launched("sm_90", small, small).grid == (16,)


def test_small_products_get_small_tiles():
    for (target, width), rows in TILES.items():
        assert choose_tiles(target, 8192, 8192, width) == rows[0]
        assert choose_tiles(target, 64, 64, width) == rows[-1]


def refusal(error, *args, **options):
    with pytest.raises(error) as caught:
        matmul(*args, **options)
    return str(caught.value)


def test_bad_input_is_told_what_can_do_it():
    a, b = pair(8, 8, 16)
    assert "(8, 16) and (8, 16)" in refusal(InvalidValue, a, a) and ".T" in refusal(InvalidValue, a, a)
    assert "share K" in refusal(InvalidValue, a, b[:9])
    assert "torch.matmul" in refusal(InvalidValue, a[None], b) and "torch.matmul" in refusal(Unsupported, a.double(), b)
    assert "one dtype" in refusal(InvalidType, a, b.half()) and "b.float()" in refusal(InvalidType, a, b.int())
    assert "one device" in refusal(InvalidValue, a, b.to("meta"))
    assert "'grouped'" in refusal(InvalidValue, a, b, rung="groupd")
    assert "no backward" in refusal(Unsupported, a.requires_grad_(), b)
    assert "rung='grouped'" in refusal(InvalidValue, a.detach(), b[:, :7], rung="persistent")
    for bad in (dict(block_m=0, block_n=1), dict(block_m=1, block_n=1, group_m=0)):
        with pytest.raises(InvalidValue):
            tile_order("grouped", 4, 4, **bad)
    with pytest.raises(InvalidValue, match="persistent"):
        tile_order("persistant", 4, 4, block_m=1, block_n=1)


@interpreted
def test_what_would_take_minutes_is_refused_with_a_shape_that_would_not():
    with runtime.allow_tile_steps(10):
        text = refusal(InvalidValue, *pair(256, 128, 64))
        assert "got 16" in text and "M, N, K = 128, 128, 64" in text
        compare(matmul, *pair(128, 128, 64), "the shape it names")


@pytest.mark.parametrize("target", TARGETS)
def test_compiled_to_matrix_instructions_without_spills(target):
    """fp16 and bf16, large and small, turned and not: within shared memory, no spills, operands fetched ahead."""
    from minillm.kernels.inspect import call_jobs, compile_many

    best = "persistent" if target in ("sm_90", "sm_100", "sm_120") else "grouped"
    a = torch.empty(8192, 8192, dtype=torch.bfloat16, device="meta")
    small = torch.empty(272, 272, dtype=torch.float16, device="meta")
    calls = [(a, a.T, best), (a, a, "grouped"), (small, small, best)] + [(a, a, "naive")] * (target == "sm_90")
    jobs = [job for x, y, rung in calls for job in call_jobs(matmul, x, y, rung=rung, target=target)]
    for (x, _, rung), report in zip(calls, compile_many(jobs), strict=True):
        assert report.kernel == f"matmul_{rung}"
        assert report.fits and report.spill_bytes == 0, f"{rung} {tuple(x.shape)}: {report}"
        assert report.matrix_instructions > 0, f"{rung} {tuple(x.shape)}: {report}"
        if target.startswith("sm_"):
            assert report.wide_async_copies > 0, f"{rung} {tuple(x.shape)}: {report}"
        if rung == "persistent":
            assert report.instructions["tma_load"] > 0


def test_group_height_is_what_the_kernels_are_launched_with():
    a, b = pair(64, 64, 64)
    assert launched("sm_90", a, b).constants["GROUP_M"] == launched("sm_80", a, b).constants["GROUP_M"] == GROUP_M


@pytest.mark.gpu
@pytest.mark.parametrize("rung", RUNGS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(1000, 776, 2056), (4096, 4096, 512), (8, 4096, 4096), (136, 8, 10_000)])
def test_matmul_on_a_gpu(shape, dtype, rung):
    a, b = (x.cuda() for x in pair(*shape, dtype))
    compare(matmul, a, b, f"{shape} {dtype} {rung}", rung=rung)
    compare(matmul, a.T.contiguous().T, b.T.contiguous().T, f"{shape} {dtype} {rung} turned", rung=rung)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("shape", [(997, 773, 1031), (1, 4099, 63), (65, 1, 40_001)])
def test_ragged_matmul_on_a_gpu(shape, dtype):
    a, b = (x.cuda() for x in pair(*shape, dtype))
    for rung in ("naive", "grouped", None):
        compare(matmul, a, b, f"{shape} {dtype} {rung}", rung=rung)


@pytest.mark.gpu
def test_operands_beyond_2_to_the_31_on_a_gpu():
    a = torch.zeros(2**31 // 8192 + 64, 8192, dtype=torch.bfloat16, device="cuda")
    a[-1] = numbers(8192).cuda()
    b = numbers(8192, 64, dtype=torch.bfloat16).cuda()
    for rung in RUNGS:
        out = matmul(a, b, rung=rung)
        assert (out[:-1] == 0).all()
        want = a[-1:].double() @ b.double()
        assert (out[-1:].double() - want).abs().max() <= 2**-7 * want.abs().max()
