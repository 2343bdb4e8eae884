"""The backward of flash attention: the same battery for the kernels and their torch twin, and broken kernels it must reject.

At sizes one can interpret everywhere, and at full size on a GPU.
"""

import dataclasses
import inspect
from itertools import product

import pytest
import torch
from attention_cases import some_sinks, tensors
from backward_battery import CHECKS, exact, noise, oracle
from flash_battery import DTYPES, SMALL, Size, largest, make
from kernel_mutants import complaint, mutate, names, narrow_offsets_refused

import minillm as ml
from minillm.attention.naive import visible
from minillm.attention.tiled_backward import tiled_attention_backward
from minillm.errors import InvalidType, InvalidValue, Unsupported
from minillm.kernels import flash_attention, runtime
from minillm.kernels.attention_tiles import Tiles
from minillm.kernels.backward_tiles import TILES, BackwardTiles
from minillm.kernels.flash_backward import flash_backward
from minillm.measure.backward_cost import backward_cost, dkdv_cost, dq_cost
from minillm.measure.tiles import key_range, query_range

MODE = runtime.mode().name
with_triton = pytest.mark.skipif(MODE == "absent", reason="Triton is not installed")
interpreted = pytest.mark.skipif(MODE != "interpreter", reason="looks inside the interpreter")
HERE = dataclasses.replace(SMALL, device="cuda" if MODE == "gpu" else "cpu")
FULL = Size(short=1000, odd=2047, long=4095, device="cuda")
SMALL_TILES = BackwardTiles(Tiles(16, 32), Tiles(16, 32))
WRONG = names("backward")


@with_triton
@pytest.mark.filterwarnings("ignore:overflow")  # NumPy's, of scores that a cap is about to flatten
@pytest.mark.parametrize("name", CHECKS)
def test_the_kernels_pass(name):
    CHECKS[name](flash_backward, HERE)


@pytest.mark.gpu
@pytest.mark.parametrize("name", CHECKS)
def test_the_kernels_pass_at_full_size(name):
    CHECKS[name](flash_backward, FULL)


@pytest.mark.parametrize("name", CHECKS)
def test_the_twin_passes(name):
    CHECKS[name](tiled_attention_backward, SMALL)


def test_the_wrong_answers_are_all_here():
    assert len(WRONG) >= 20


@interpreted
@pytest.mark.filterwarnings("ignore")  # NumPy's, of NaN
@pytest.mark.parametrize("name", WRONG)
def test_every_wrong_backward_is_rejected(name, tmp_path):
    mutant, module = mutate(name, tmp_path)
    broken = getattr(module, "flash_backward", None) or module.tiled_attention_backward
    for expected in mutant.CAUGHT_BY:
        assert complaint(lambda f: CHECKS[expected](f, SMALL), broken), f"{expected} let {name} pass"  # noqa: B023


def forward_of(q, k, v, options):
    """Autograd's view of the twin: its gradients are those of the naive forward, for gradcheck to compare."""

    class Twin(torch.autograd.Function):
        @staticmethod
        def forward(ctx, *inputs):
            named = options if len(inputs) == 3 else {**options, "sinks": inputs[3]}
            out, lse = exact(*inputs[:3], **named)
            ctx.save_for_backward(*inputs, out, lse)
            return out, lse

        @staticmethod
        def backward(ctx, dout, dlse):
            *inputs, out, lse = ctx.saved_tensors
            named = options if len(inputs) == 3 else {**options, "sinks": inputs[3]}
            return tiled_attention_backward(dout, *inputs[:3], out, lse, dlse=dlse, block_l=2, block_s=3, **named)

    return Twin.apply


@pytest.mark.parametrize(
    "plan",
    [
        {},
        {"causal": True, "window": 3},
        {"softcap": 1.5},
        {"causal": True, "softcap": 0.8, "sinks": True, "scale": -0.4},
    ],
    ids=str,
)
def test_the_twin_agrees_with_finite_differences(plan):
    """No derivation and no autograd: every input moved a little, in float64, and the outputs watched."""
    options = {name: value for name, value in plan.items() if name != "sinks"}
    for L, S in ((5, 7), (4, 4)):
        inputs = [x.requires_grad_() for x in tensors(L, S, 2, 1, D=3, B=1)]
        inputs += [some_sinks(2).requires_grad_()] if "sinks" in plan else []
        assert torch.autograd.gradcheck(forward_of(*inputs[:3], options), inputs)


@pytest.mark.parametrize("blocks", [(1, 1), (16, 64), (48, 5), (200, 200)], ids=str)
def test_tile_sizes_do_not_change_the_twin(blocks):
    q, k, v = make(SMALL, 70, 131, H=2, dtype=torch.float64)
    if blocks == (1, 1):
        q, k, v = q[:, :9], k[:, :11], v[:, :11]
    for plan in ({}, {"causal": True, "window": 20}):
        out, lse = exact(q, k, v, **plan)
        dout = noise(out)
        got = tiled_attention_backward(dout, q, k, v, out, lse, block_l=blocks[0], block_s=blocks[1], **plan)
        want = oracle(dout, None, q, k, v, **plan)
        assert all(largest(g - w) <= 1e-12 * largest(w) for g, w in zip(got, want, strict=True))


@with_triton
@pytest.mark.parametrize("tiles", [(16, 16), (32, 128), (128, 32)], ids=str)
def test_tile_sizes_do_not_change_the_kernels(tiles):
    q, k, v = make(HERE, 70, 131)
    for plan in ({"causal": True}, {"causal": True, "window": 50}):
        out, lse = exact(q, k, v, **plan)
        dout = noise(out)
        cut = BackwardTiles(Tiles(*tiles), Tiles(*tiles[::-1]))
        got = flash_backward(dout, q, k, v, out, lse, tiles=cut, **plan)
        want = oracle(dout, None, q, k, v, **plan)
        assert all(largest(g - w) <= 2e-5 * largest(w) for g, w in zip(got, want, strict=True))


# Ranges of tiles, and what they cost.

RANGES = [
    (L, S, block_l, block_s, causal, window)
    for (L, S), (block_l, block_s), causal, window in product(
        ((1, 1), (1, 17), (17, 1), (12, 12), (11, 30), (30, 11), (13, 16)),
        ((4, 4), (4, 8), (8, 4), (1, 3)),
        (False, True),
        (None, 1, 4, 6, 100),
    )
]


def test_a_query_range_holds_every_row_that_sees_and_whole_tiles_see_all():
    for L, S, block_l, block_s, causal, window in RANGES:
        seen = visible(L, S, causal, window)
        for s_tile in range(-(-S // block_s)):
            where = f"L={L} S={S} tiles {block_l}x{block_s} causal={causal} window={window} s_tile={s_tile}"
            keys = seen[:, s_tile * block_s : (s_tile + 1) * block_s]
            ranges = query_range(s_tile, L, S, block_l, block_s, causal=causal, window=window)
            assert ranges.start <= ranges.full_start <= ranges.full_end, where
            tiles = dict(ranges.tiles(block_l))
            for q_tile in range(0, L, block_l):
                tile = keys[q_tile : q_tile + block_l]
                assert q_tile in tiles or not tile.any(), f"{where}: rows from {q_tile} are missed"
                whole = tile.all() and tile.shape == (block_l, block_s)
                assert whole or tiles.get(q_tile, True), f"{where}: rows from {q_tile} need a mask"
                assert not (whole and tiles[q_tile]), f"{where}: rows from {q_tile} need none"


def test_keys_and_queries_visit_the_same_tiles():
    """A tile of scores is visited from both sides or from neither, but where a blind row or a far key is the reason."""
    for L, S, block_l, block_s, causal, window in RANGES:
        options = {"causal": causal, "window": window}
        rows = {
            (q_tile, s // block_s)
            for q_tile in range(-(-L // block_l))
            for s, _ in key_range(q_tile, L, S, block_l, block_s, **options).tiles(block_s)
        }
        columns = {
            (l // block_l, s_tile)
            for s_tile in range(-(-S // block_s))
            for l, _ in query_range(s_tile, L, S, block_l, block_s, **options).tiles(block_l)
        }
        seen = visible(L, S, causal, window)
        for q_tile, s_tile in rows ^ columns:
            tile = seen[q_tile * block_l : (q_tile + 1) * block_l, s_tile * block_s : (s_tile + 1) * block_s]
            assert not tile.any(), (L, S, block_l, block_s, options, q_tile, s_tile)


PLANS = [{}, {"causal": True}, {"window": 9}, {"causal": True, "window": 20}, {"causal": True, "sinks": True}]


@interpreted
@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_kernels_twin_and_formula_count_the_same(plan):
    turns = zip(((33, 70), (70, 33), (64, 64)), DTYPES, (False, True, True), (20, 64, 80), strict=True)
    for (L, S), dtype, with_dlse, D in turns:
        q, k, v = make(SMALL, L, S, H=4, G=2, D=D, dtype=dtype)
        options = {**plan, "sinks": torch.linspace(2.0, -1.5, 4)} if "sinks" in plan else plan
        out, lse = exact(q, k, v, **options)
        inputs = noise(out), q, k, v, out, lse
        dlse = noise(lse) if with_dlse else None
        with ml.count() as twin:
            tiled_attention_backward(*inputs, dlse=dlse, block_l=16, block_s=32, **options)
        with ml.count() as kernels:
            flash_backward(*inputs, dlse=dlse, tiles=SMALL_TILES, **options)
        found = [(c.bytes_loaded, c.bytes_stored, c.flops) for c in (twin, kernels)]
        assert found[0] == found[1], f"{L}x{S} {dtype}"
        if "sinks" not in plan:  # whose gradient is a sum in ordinary torch
            cost = backward_cost(
                1, L, S, 4, 2, D, block_l=16, block_s=32, dlse=with_dlse, dtype_bytes=q.element_size(), **plan
            )
            assert found[0] == (cost.bytes.loaded, cost.bytes.stored, cost.flops), f"{L}x{S} {dtype}"


@pytest.mark.parametrize(
    "backward", [tiled_attention_backward, pytest.param(flash_backward, marks=interpreted)], ids=["twin", "kernels"]
)
def test_the_scores_are_never_whole_in_memory(backward):
    q, k, v = make(SMALL, 130, 130, D=16)
    out, lse = exact(q, k, v)
    with ml.count() as c:
        backward(out, q, k, v, out, lse)
    assert c.allocated(elements=3 * 130 * 16) == [] and c.peak_bytes <= 4 * 130 * (3 * 16 + 2)


def test_the_gradients_take_seven_dots_where_the_forward_takes_two():
    shape, tiles = (1, 4096, 4096, 8, 8, 64), {"block_l": 128, "block_s": 128, "causal": True}
    cost = backward_cost(*shape, **tiles)
    forward = 4 * 128 * 128 * 64 * 8 * (32 * 33 // 2)
    assert cost.flops == 3.5 * forward
    assert (cost.dkdv.flops, cost.dq.flops) == (2 * forward, 1.5 * forward)
    assert dkdv_cost(*shape, **tiles).tile_steps == dq_cost(*shape, **tiles).tile_steps == 8 * 32 * 33 // 2


def test_keys_shared_by_a_group_are_stored_once():
    tiles = {"block_l": 64, "block_s": 64}
    alone, shared = (dkdv_cost(2, 256, 256, 8, G, 64, **tiles) for G in (8, 2))
    assert shared.bytes.stored * 4 == alone.bytes.stored
    assert shared.flops == alone.flops


# Behind autograd.


@with_triton
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_gradients_flow_through_flash_attention(dtype):
    q, k, v = (x.requires_grad_() for x in make(HERE, 40, 70, H=4, G=2, B=2, dtype=dtype))
    sinks = torch.linspace(-1, 2, 4, device=HERE.device, requires_grad=True)
    out, lse = flash_attention(q, k, v, causal=True, sinks=sinks, return_lse=True)
    dout, dlse = noise(out), noise(lse)
    got = torch.autograd.grad([out, lse], [q, k, v, sinks], [dout, dlse])
    want = oracle(dout, dlse, q.detach(), k.detach(), v.detach(), sinks.detach(), causal=True)
    for g, w, x in zip(got, want, (q, k, v, sinks), strict=True):
        assert g.dtype == x.dtype and g.shape == x.shape
        assert largest(g.double() - w) <= (2e-5 if dtype == torch.float32 else 2e-2) * largest(w)


@with_triton
def test_a_loss_may_use_the_lse_alone_or_need_some_gradients_only():
    q, k, v = make(HERE, 20, 30)
    _, lse = flash_attention(q.requires_grad_(), k, v, return_lse=True)
    (got,) = torch.autograd.grad(lse.sum(), q)
    want = oracle(torch.zeros_like(q), torch.ones_like(lse), q.detach(), k, v)[0]
    assert largest(got - want) <= 2e-5 * largest(want)
    out = flash_attention(q.detach(), k, v.requires_grad_())
    out.sum().backward()
    assert q.grad is None and k.grad is None and v.grad.shape == v.shape


@with_triton
def test_what_is_kept_for_the_backward_is_no_table_of_scores():
    q, k, v = (x.requires_grad_() for x in make(HERE, 70, 90, H=4, G=2))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda x: kept.append(x.shape) or x, lambda x: x):
        flash_attention(q, k, v, causal=True)
    assert sorted(kept) == sorted([q.shape, k.shape, v.shape, q.shape, (1, 4, 70)])


@with_triton
def test_a_gradient_of_the_gradient_is_refused_in_words():
    q, k, v = (x.requires_grad_() for x in make(HERE, 5, 5))
    (first,) = torch.autograd.grad(flash_attention(q, k, v).sum(), q, create_graph=True)
    with pytest.raises(Unsupported, match=r"differentiated once.*backend='naive'"):
        first.sum().backward()


@with_triton
@pytest.mark.parametrize("backward", [flash_backward, tiled_attention_backward], ids=["kernels", "twin"])
def test_gradients_by_hand_leave_no_trace_for_autograd(backward):
    q, k, v = make(HERE, 9, 9)
    sinks = torch.ones(1, device=HERE.device, requires_grad=True)
    out, lse = exact(q.requires_grad_(), k, v, sinks=sinks)
    assert not any(g.requires_grad for g in backward(out, q, k, v, out, lse, sinks=sinks))


# What is refused, and what a GPU would need.


@with_triton
@pytest.mark.parametrize("backward", [flash_backward, tiled_attention_backward], ids=lambda f: f.__name__)
def test_bad_input_is_refused(backward):
    q, k, v = make(HERE, 6, 8, H=4, G=2)
    out, lse = exact(q, k, v)
    for wrong, error, words in (
        ({"dout": out[:, 1:]}, InvalidValue, "dout must have shape"),
        ({"dout": out.half()}, InvalidType, "dout must be torch.float32"),
        ({"dout": None}, InvalidType, "dout must be a torch tensor"),
        ({"lse": lse.transpose(1, 2)}, InvalidValue, "lse must have shape"),
        ({"lse": lse.double()}, InvalidType, "lse must be torch.float32"),
        ({"dlse": lse[..., :1]}, InvalidValue, "dlse must have shape"),
        ({"k": k[:, 1:]}, InvalidValue, "k and v must have the same shape"),
        ({"window": 0}, InvalidValue, "window must be at least 1"),
    ):
        arguments = {"dout": out, "q": q, "k": k, "v": v, "out": out, "lse": lse, **wrong}
        with pytest.raises(error, match=words):
            backward(**arguments)


@with_triton
def test_what_only_torch_can_do_is_said():
    q, k, v = make(HERE, 6, 8, dtype=torch.float64)
    out, lse = exact(q, k, v)
    with pytest.raises(Unsupported, match="tiled"):
        flash_backward(out, q, k, v, out, lse)
    wide = torch.zeros(1, 2, 1, 257, device=HERE.device)
    with pytest.raises(Unsupported, match="up to 256"):
        flash_backward(wide, wide, wide, wide, wide, wide.new_zeros(1, 1, 2))


@interpreted
def test_an_endless_interpretation_is_refused_with_a_shape_that_is_not():
    q, k, v = make(SMALL, 40, 40)
    out, lse = exact(q, k, v)
    with runtime.allow_tile_steps(4), pytest.raises(InvalidValue, match="B = 1, L = 20, S = 20, H = 1"):
        flash_backward(out, q, k, v, out, lse, tiles=SMALL_TILES)
    with runtime.allow_tile_steps(4):
        flash_backward(out[:, :20], q[:, :20], k[:, :20], v[:, :20], out[:, :20], lse[..., :20], tiles=SMALL_TILES)


def rehearsed(module, target, D=64, dtype=torch.bfloat16, strides=None):
    """The three launches of a call on tensors that do not exist."""
    strides = strides or {}
    q = torch.empty_strided((3, 130, 4, D), strides.get("q", (520 * D, 4 * D, D, 1)), dtype=dtype, device="meta")
    with runtime.rehearse(target) as launches:
        module.flash_backward(q, q, q, q, q, torch.empty(3, 4, 130, device="meta"), causal=True)
    return launches


@with_triton
@pytest.mark.parametrize("target", ["sm_80", "sm_89", "sm_90", "sm_100", "sm_120", "gfx942"])
def test_every_target_width_and_dtype_has_tiles(target):
    for D, dtype in product((16, 80, 128, 256), DTYPES):
        launches = rehearsed(inspect.getmodule(flash_backward), target, D, dtype)
        assert [launch.kernel.fn.__name__ for launch in launches] == ["delta_kernel", "dkdv_kernel", "dq_kernel"]
        for launch in launches[1:]:
            assert launch.constants["BLOCK_D"] >= D and launch.constants["BLOCK_L"] >= 16
    assert all(rows[-1][0] == 256 for rows in TILES.values())


FAR = 2**30


def run_far_apart(module):
    """Run the kernels as if batches, rows and heads lay 2**30 elements apart, in heads no element wide.

    Every address is computed, and none of a width's is followed, because no column of a head is real.
    """
    for launch in rehearsed(module, "interpreter", 16, torch.float32, {"q": (FAR, FAR, FAR, 1)}):
        names_ = list(inspect.signature(launch.kernel.fn).parameters)
        args = [torch.zeros(3 * 4 * 130) if isinstance(x, torch.Tensor) else x for x in launch.args]
        args = [FAR if name.startswith("stride_") else x for name, x in zip(names_, args, strict=False)]
        with narrow_offsets_refused():
            launch.kernel[launch.grid](*args, **{**launch.constants, "D": 0})


@interpreted
def test_offsets_past_two_to_the_31st():
    run_far_apart(inspect.getmodule(flash_backward))


@interpreted
@pytest.mark.parametrize(
    "cast",
    [
        "    stride_ql, stride_dol = tl.cast(stride_ql, tl.int64), tl.cast(stride_dol, tl.int64)\n",
        "    stride_ks, stride_vs = tl.cast(stride_ks, tl.int64), tl.cast(stride_vs, tl.int64)\n",
    ],
    ids=["queries", "keys"],
)
def test_a_missing_cast_is_seen(cast, tmp_path):
    from kernel_mutants import load

    source = inspect.getsource(inspect.getmodule(flash_backward))
    # Casts of offsets guard the same products as casts of strides: both go.
    narrow = (
        source.replace(cast, "")
        .replace("tl.cast(tile_l, tl.int64)", "tile_l")
        .replace("tl.cast(tile_s, tl.int64)", "tile_s")
    )
    assert source.count(cast) == 1
    (tmp_path / "narrow_backward.py").write_text(narrow)
    with pytest.raises(Exception, match="int32 overflow"):
        run_far_apart(load(tmp_path / "narrow_backward.py", "narrow_backward"))
