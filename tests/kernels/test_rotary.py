"""Queries and keys turned by their positions, alone or on their way into the cache: as the model's own layers turn them."""

import dataclasses
import importlib
import importlib.util
from itertools import product
from pathlib import Path

import pytest
import torch
from attention_cases import every_other, heads_first, packed
from flash_battery import DTYPES
from kernel_mutants import guarded_outputs, new_memory_holds_nan

import minillm as ml
from minillm.errors import InvalidType, InvalidValue, Unsupported
from minillm.kernels import mode, rotary, rotary_write, runtime
from minillm.kernels.runtime import allow_tile_steps, rehearse
from minillm.measure.cache_cost import rotary_bytes, rotary_write_bytes
from minillm.model.layers import rotate

pytestmark = pytest.mark.skipif(mode().name == "absent", reason="Triton is not installed")
interpreted = pytest.mark.skipif(mode().name != "interpreter", reason="asks the interpreter")
HERE = "cuda" if mode().name == "gpu" else "cpu"
ROOM = 40  # positions in the table
CHECKS = {}


def check(function):
    """Register a check under its own name: it takes the module under test."""
    CHECKS[function.__name__] = function
    return function


def make(T, H=6, G=2, D=16, dtype=torch.float32, seed=0):
    """q (T, H, D), k, v (T, G, D), cos, sin (ROOM, D) float32, no half like the other, positions (T,)."""
    generator = torch.Generator().manual_seed(seed)
    q, k, v = (torch.randn(T, n, D, generator=generator).to(dtype).to(HERE) for n in (H, G, G))
    cos, sin = torch.randn(2, ROOM, D, generator=generator).to(HERE)
    return q, k, v, cos, sin, torch.randint(0, ROOM, (T,), generator=generator).to(HERE)


def turned(x, cos, sin, positions):
    """As the model's layers turn it, in float64."""
    return rotate(x.double(), cos.double()[positions][:, None], sin.double()[positions][:, None])


def assert_turned(got, x, cos, sin, positions, where):
    want = turned(x, cos, sin, positions)
    allowed = max(torch.finfo(x.dtype).eps, 1e-6) * want.abs().max().item()
    assert got.dtype == x.dtype and got.shape == x.shape, where
    assert not got.isnan().any(), f"{where}: NaN"
    assert (got.double() - want).abs().max() <= allowed, f"{where}: {(got.double() - want).abs().max():.1e}"


@check
def values(module):
    """Every dtype, heads and widths that no tile divides, positions that repeat and go back."""
    for dtype, (H, G, D) in product(DTYPES, ((6, 2, 16), (3, 1, 80), (1, 1, 2), (5, 5, 6))):
        q, k, _, cos, sin, positions = make(5, H, G, D, dtype)
        q_out, k_out = module.rotary(q, k, cos, sin, positions)
        assert_turned(q_out, q, cos, sin, positions, f"q {dtype} {(H, G, D)}")
        assert_turned(k_out, k, cos, sin, positions, f"k {dtype} {(H, G, D)}")


@check
def many_heads(module):
    """More heads than a program turns at once."""
    q, k, _, cos, sin, positions = make(2, 70, 35, 128)
    q_out, k_out = module.rotary(q, k, cos, sin, positions)
    assert_turned(q_out, q, cos, sin, positions, "q")
    assert_turned(k_out, k, cos, sin, positions, "k")


@check
def table_in_half(module):
    """The table's dtype is its own, and so is that of the positions."""
    q, k, _, cos, sin, positions = make(4)
    cos, sin = cos.bfloat16(), sin.half()
    q_out, _ = module.rotary(q, k, cos, sin, positions.int())
    assert_turned(q_out, q, cos, sin, positions, "half tables")


@check
def strided_views(module):
    """Views of a packed projection and of padded memory, a table that is a window into a wider one, other strides for k."""
    q, k, _, cos, sin, positions = make(5, 4, 2, 16)
    for lay_out in (packed, heads_first, every_other):
        views = lay_out(q[None])[0], heads_first(k[None])[0]
        tables = cos, torch.cat([cos, sin], 1)[:, 16:]
        got_q, got_k = module.rotary(*views, *tables, torch.stack([positions, positions + 99], 1)[:, 0])
        assert_turned(got_q, q, cos, sin, positions, f"q {lay_out.__name__}")
        assert_turned(got_k, k, cos, sin, positions, f"k {lay_out.__name__}")


def write_case(dtype=torch.float32, T=6, H=6, G=2, D=16):
    q, k, v, cos, sin, positions = make(T, H, G, D, dtype)
    slots = torch.randperm(20, generator=torch.Generator().manual_seed(1))[:T].to(HERE)
    slots[1] = -1
    memory = [torch.full((7, 4, G, D), 7.0, device=HERE).to(dtype) for _ in "kv"]
    return (q, k, v, cos, sin, positions), slots, memory


@check
def written(module):
    """The cache holds turned keys and plain values in their slots and nothing else, and q comes back turned."""
    for dtype, D in product(DTYPES, (16, 80)):
        (q, k, v, cos, sin, positions), slots, memory = write_case(dtype, D=D)
        caches = [m[1:-1] for m in memory]
        q_out = module.rotary_write(q, k, v, cos, sin, positions, *caches, slots)
        assert_turned(q_out, q, cos, sin, positions, f"q {dtype}")
        kept = slots >= 0
        rows = caches[0].flatten(0, 1)[slots[kept]]
        assert_turned(rows, k[kept], cos, sin, positions[kept], f"k {dtype}")
        assert torch.equal(caches[1].flatten(0, 1)[slots[kept]], v[kept]), f"v {dtype}"
        for m in memory:
            rest = torch.ones(28, dtype=torch.bool, device=HERE)
            rest[slots[kept] + 4] = False
            assert m.flatten(0, 1)[rest].eq(7).all(), f"{dtype}: written elsewhere"


@check
def writes_into_views(module):
    """Blocks that hold K and V side by side, and tokens whose strides differ."""
    (q, k, v, cos, sin, positions), slots, _ = write_case()
    both = torch.full((5, 2, 4, 2, 16), 7.0, device=HERE)
    wide = torch.full((5, 4, 5, 16), 7.0, device=HERE)[:, :, 1:3]
    module.rotary_write(q, packed(k[None])[0], heads_first(v[None])[0], cos, sin, positions, wide, both[:, 0], slots)
    kept = slots >= 0
    assert_turned(wide.flatten(0, 1)[slots[kept]], k[kept], cos, sin, positions[kept], "k")
    assert torch.equal(both[:, 0].flatten(0, 1)[slots[kept]], v[kept])
    assert both[:, 1].eq(7).all(), "the other half of the blocks was written to"


@check
def bytes_as_the_formula(module):
    """Cosines and sines are read once for all heads, and the turned key once written."""
    if HERE == "cuda":
        return
    for dtype in DTYPES:
        (q, k, v, cos, sin, positions), slots, memory = write_case(dtype)
        with ml.count() as alone:
            module.rotary(q, k, cos, sin, positions)
        with ml.count() as fused:
            module.rotary_write(q, k, v, cos, sin, positions, memory[0][1:-1], memory[1][1:-1], slots)
        want = rotary_bytes(6, 6, 2, 16, dtype_bytes=dtype.itemsize)
        assert (alone.bytes_loaded, alone.bytes_stored) == (want.loaded, want.stored), f"{dtype}"
        want = rotary_write_bytes(6, 6, 2, 16, skipped=1, dtype_bytes=dtype.itemsize)
        assert (fused.bytes_loaded, fused.bytes_stored) == (want.loaded, want.stored), f"{dtype} fused"


@check
def fresh_memory(module):
    """Outputs are written everywhere and nothing beside them; inputs are left alone."""
    inputs = make(5, 3, 1, 6)
    before = [x.clone() for x in inputs]
    q, k, _, cos, sin, positions = inputs
    with guarded_outputs():
        q_out, k_out = module.rotary(q, k, cos, sin, positions)
    assert not q_out.isnan().any() and not k_out.isnan().any()
    assert all(torch.equal(x, y) for x, y in zip(inputs, before, strict=True))


@pytest.mark.parametrize("name", CHECKS)
def test_it_passes(name):
    CHECKS[name](importlib.import_module("minillm.kernels.rotary"))


def test_the_fused_kernel_does_what_the_two_do():
    (q, k, v, cos, sin, positions), slots, memory = write_case(torch.bfloat16)
    apart = [m.clone() for m in memory]
    q_out, k_out = rotary(q, k, cos, sin, positions)
    ml.kernels.kv_write(k_out, v, apart[0], apart[1], slots)
    assert torch.equal(rotary_write(q, k, v, cos, sin, positions, *memory, slots), q_out)
    assert all(torch.equal(a, b) for a, b in zip(memory, apart, strict=True))


def test_no_tokens():
    q, k, _, cos, sin, positions = make(0)
    q_out, k_out = rotary(q, k, cos, sin, positions)
    assert (q_out.shape, k_out.shape) == (q.shape, k.shape)


FAULTS = {
    "turned the other way": ("low * cos_low[None, :] + high * sin_low", "low * cos_low[None, :] - high * sin_low", "values"),
    "one half's cosine for both": ("high * cos_high[None, :]", "high * cos_low[None, :]", "values"),
    "one half's sine for both": ("low * sin_high[None, :]", "low * sin_low[None, :]", "values"),
    "turned already": ("high * cos_high[None, :] + low *", "high * cos_high[None, :] + turned_low *", "values"),
    "position of the first token": ("tl.load(positions_ptr + t)", "tl.load(positions_ptr)", "values"),
    "position is the token's number": ("tl.cast(tl.load(positions_ptr + t), tl.int64)", "t", "values"),
    "sine by the cosine's stride": ("sin_ptr + position * stride_st", "sin_ptr + position * stride_ct", "strided_views"),
    "heads past the first turn": ("for first in range(0, H, BLOCK_H):\n        offs_h = first + tl.arange(0, BLOCK_H)\n        mask = (offs_h < H)[:, None] & (offs_d < D // 2)", "for first in range(0, BLOCK_H, BLOCK_H):\n        offs_h = first + tl.arange(0, BLOCK_H)\n        mask = (offs_h < H)[:, None] & (offs_d < D // 2)", "many_heads"),
    "table rounded to the input": ("cos_high = tl.load(cos_ptrs + D // 2, mask=mask_d, other=float(\"nan\")).to(tl.float32)", "cos_high = tl.load(cos_ptrs + D // 2, mask=mask_d, other=float(\"nan\")).to(tl.float16).to(tl.float32)", "values"),
    "nowhere is somewhere": ("writes = (slot >= 0) & (slot < num_slots)", "writes = slot < num_slots", "written"),
    "places from the end": ("n, p = slot // P, slot % P", "n, p = slot // P, P - 1 - slot % P", "written"),
    "keys by the values' strides": ("n * stride_kon + p * stride_kop", "n * stride_von + p * stride_vop", "writes_into_views"),
    "heads of the cache by those of the tokens": ("stride_vg, stride_vog,", "stride_vg, stride_vg,", "writes_into_views"),
    "values turned too": ("v_ptr + t * stride_vt, v_out_ptr", "k_ptr + t * stride_vt, v_out_ptr", "written"),
    "query without its stride": ("q_ptr + t * stride_qt", "q_ptr + t * (H * D)", "strided_views"),
}  # fmt: skip


def edited(old, new, folder):
    """The module with one edit."""
    source = Path(runtime.__file__).with_name("rotary.py").read_text()
    assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in the kernel; bring this test up to date"
    path = folder / "edited_rotary.py"
    path.write_text(source.replace(old, new))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@interpreted
@pytest.mark.filterwarnings("ignore")  # NumPy's, of NaN
@pytest.mark.parametrize("fault", FAULTS)
def test_one_wrong_line_is_seen(fault, tmp_path):
    old, new, name = FAULTS[fault]
    with pytest.raises(AssertionError), new_memory_holds_nan():
        CHECKS[name](edited(old, new, tmp_path))


def run_far_apart(module):
    """Run the kernel with 2**30 elements between tokens, heads, positions, blocks and places.

    Every address is computed and none is followed: heads have no width, and slots and positions are beyond their ends.
    """
    far = torch.empty_strided((5, 3, 16), (2**30, 2**30, 1), device="meta")
    table = torch.empty_strided((5, 16), (2**30, 1), device="meta")
    cache = torch.empty_strided((5, 4, 3, 16), (2**30, 2**30, 2**30, 1), device="meta")
    whole = torch.empty(5, dtype=torch.int64, device="meta")
    with rehearse("interpreter") as launches:
        module.rotary_write(far, far, far, table, table, whole, cache, cache, whole)
    (launch,) = launches
    args = [torch.zeros(64, dtype=x.dtype) + 1000 if isinstance(x, torch.Tensor) else x for x in launch.args]
    launch.constants["D"] = 0
    launch.kernel[launch.grid](*args, **launch.constants)


@interpreted
@pytest.mark.parametrize("right", [True, False], ids=["as it is", "with narrow tokens"])
def test_offsets_past_two_to_the_31st(right, tmp_path, monkeypatch):
    from triton.runtime.interpreter import interpreter_builder

    monkeypatch.setattr(interpreter_builder, "options", dataclasses.replace(interpreter_builder.options, debug=True))
    if right:
        return run_far_apart(importlib.import_module("minillm.kernels.rotary"))
    with pytest.raises(Exception, match="int32 overflow detected"):
        run_far_apart(edited("t = tl.cast(tl.program_id(0), tl.int64)", "t = tl.program_id(0)", tmp_path))


ARGS = make(3) if mode().name != "gpu" else tuple(x.cpu() for x in make(3))
BAD = {
    "a list": (0, [1.0], InvalidType, "q must be a torch tensor; got list"),
    "float64": (1, ARGS[1].double(), Unsupported, "k must be float16, bfloat16 or float32; got torch.float64"),
    "a batch": (0, ARGS[0][None], InvalidValue, r"q must be \(T, H, D\) and k \(T, G, D\); got \(1, 3, 6, 16\)"),
    "a token short": (1, ARGS[1][:2], InvalidValue, r"q must be \(T, H, D\) and k \(T, G, D\)"),
    "dtypes differ": (1, ARGS[1].half(), InvalidType, "q and k must share one dtype; got torch.float32, torch.float16"),
    "half a table": (3, ARGS[3][:, :8], InvalidValue, r"cos and sin must be \(max_pos, D\); got \(40, 8\)"),
    "positions as floats": (5, ARGS[5].float(), InvalidType, r"positions must be an int64 or int32 tensor \(T,\); got torch.float32"),
    "sparse positions": (5, ARGS[5].to_sparse(), InvalidType, "positions must be a dense tensor; got torch.sparse"),
    "a position short": (5, ARGS[5][:2], InvalidValue, r"positions must have shape \(T,\); got \(2,\) for 3 tokens"),
    "past the table": (5, ARGS[5] + 40, InvalidValue, "positions must lie in 0 … 39, where the table ends; got"),
    "before it": (5, ARGS[5] - 40, InvalidValue, "positions must lie in 0 … 39"),
    "gradients": (0, ARGS[0].clone().requires_grad_(), Unsupported, "no backward pass"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused(case):
    place, wrong, error, text = BAD[case]
    q, k, _, cos, sin, positions = (*ARGS[:place], wrong, *ARGS[place + 1 :])
    with pytest.raises(error, match=text):
        rotary(q, k, cos, sin, positions)


def test_odd_widths_and_narrow_caches_are_refused():
    q, k, _, cos, sin, positions = ARGS
    with pytest.raises(InvalidValue, match="D must be even; got 15; use 14 or 16"):
        rotary(q[..., :15], k[..., :15], cos[:, :15], sin[:, :15], positions)
    cache, slots = torch.zeros(2, 4, 2, 16, dtype=torch.int8), torch.arange(3)
    with pytest.raises(InvalidType, match=r"caches of k's dtype; got torch.int8 and torch.float32; use rotary, then"):
        rotary_write(q, k, k, cos, sin, positions, cache, cache, slots)
    with pytest.raises(InvalidValue, match="slots must lie in 0 … 7"):
        rotary_write(q, k, k, cos, sin, positions, cache.float(), cache.float(), slots + 6)


@interpreted
def test_endless_interpretation_is_refused_with_what_would_fit():
    args = make(10)
    with allow_tile_steps(7):
        with pytest.raises(InvalidValue, match=r"got 20; use at most 3 tokens, or torch, as minillm.model's layers do"):
            rotary(*args[:2], *args[3:])
        rotary(args[0][:3], args[1][:3], *args[3:5], args[5][:3])


@interpreted
def test_what_a_gpu_is_not_asked_about_is_held_to_table_and_cache(monkeypatch):
    """Where nobody looks, a place beyond the table turns to NaN, and one beyond the cache is not written to."""
    for name, look in (("rotary", "_require_positions"), ("kv_write", "require_slots")):
        monkeypatch.setattr(importlib.import_module(f"minillm.kernels.{name}"), look, lambda *_: None)
    q, k, v, cos, sin, positions = make(4)
    positions[1], positions[2] = ROOM - 1, -1
    memory = torch.full((2, 4, 4, 2, 16), 7.0)
    slots = torch.tensor([8, -5, 11, 0])
    out = rotary_write(q, k, v, cos[: ROOM - 1], sin[: ROOM - 1], positions, *memory[:, 1:3], slots)
    assert out[1:3].isnan().all() and not out[::3].isnan().any()
    assert torch.equal(memory[1, 1, 0], v[3]) and memory[:, 1, 0].ne(7).all()
    memory[:, 1, 0] = 7
    assert memory.eq(7).all()


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_many_tokens(dtype):
    q, k, _, cos, sin, positions = make(5000, 32, 8, 128, dtype)
    q_out, k_out = rotary(q, k, cos, sin, positions)
    assert_turned(q_out, q, cos, sin, positions, "q")
    assert_turned(k_out, k, cos, sin, positions, "k")


@pytest.mark.gpu
def test_a_position_past_the_table_gives_nan():
    q, k, _, cos, sin, positions = make(3)
    positions[1] = ROOM
    q_out, _ = rotary(q, k, cos, sin, positions)
    assert q_out[1].isnan().all() and not q_out[::2].isnan().any()
