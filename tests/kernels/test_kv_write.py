"""Keys and values land in their slots and nowhere else, from any strides, whole or in 8 bits with a scale a row."""

import dataclasses
import importlib
import importlib.util
import inspect
import math
from itertools import product
from pathlib import Path

import pytest
import torch
from attention_cases import every_other, heads_first, packed
from flash_battery import DTYPES

import minillm as ml
from minillm.errors import InvalidType, InvalidValue, Unsupported
from minillm.kernels import kv_write, mode, runtime
from minillm.kernels.runtime import allow_tile_steps, rehearse
from minillm.measure.cache_cost import kv_write_bytes

pytestmark = pytest.mark.skipif(mode().name == "absent", reason="Triton is not installed")
interpreted = pytest.mark.skipif(mode().name != "interpreter", reason="asks the interpreter")
HERE = "cuda" if mode().name == "gpu" else "cpu"
EIGHT_BITS = {torch.int8: 127.0, torch.float8_e4m3fn: 448.0}
CHECKS = {}


def check(function):
    """Register a check under its own name: it takes the function under test."""
    CHECKS[function.__name__] = function
    return function


def tokens(T, G=2, D=16, dtype=torch.float32, seed=0):
    generator = torch.Generator().manual_seed(seed)
    k, v = torch.randn(2, T, G, D, generator=generator).to(dtype).to(HERE)
    return k, v * 3


def some_slots(T, num_slots, skip=()):
    slots = torch.randperm(num_slots, generator=torch.Generator().manual_seed(T))[:T].clone()
    slots[list(skip)] = -1
    return slots.to(HERE)


def caches(num_blocks, P, G=2, D=16, dtype=torch.float32):
    """Two caches that hold 7, each in the middle of memory that holds 7 all around."""
    made = [torch.full((num_blocks + 2, P, G, D), 7.0, device=HERE).to(dtype) for _ in "kv"]
    return made, [memory[1:-1] for memory in made]


def expected(memory, x, slots):
    """What the memory around a cache holds after x was written to its slots."""
    want = memory.clone()
    rows = want[1:-1].flatten(0, 1)
    for t, slot in enumerate(slots.tolist()):
        if slot >= 0:
            rows[slot] = x[t]
    return want


@check
def values(write):
    """Every dtype, widths that no tile divides, blocks of 1 to 16, skipped tokens: what is written, and what is not."""
    for dtype, (G, D), P in product(DTYPES, ((2, 16), (3, 5), (1, 80)), (1, 6, 16)):
        k, v = tokens(9, G, D, dtype)
        slots = some_slots(9, 4 * P if P > 1 else 20, skip=(0, 4))
        memory, (k_cache, v_cache) = caches(4 if P > 1 else 20, P, G, D, dtype)
        want = [expected(m, x, slots) for m, x in zip(memory, (k, v), strict=True)]
        write(k, v, k_cache, v_cache, slots)
        assert all(torch.equal(m, w) for m, w in zip(memory, want, strict=True)), f"{dtype} G={G} D={D} P={P}"


@check
def many_programs(write):
    """More rows than one program takes."""
    k, v = tokens(60, 8, 64)
    slots = some_slots(60, 64)
    memory, (k_cache, v_cache) = caches(8, 8, 8, 64)
    want = [expected(m, x, slots) for m, x in zip(memory, (k, v), strict=True)]
    write(k, v, k_cache, v_cache, slots)
    assert all(torch.equal(m, w) for m, w in zip(memory, want, strict=True))


@check
def strided_views(write):
    """K and V are views with different strides and NaN around them; the caches are interleaved, or a layer of many."""
    k, v = tokens(9, 2, 16)
    slots = some_slots(9, 32, skip=(3,))
    for lay_out in (packed, heads_first, every_other):
        both = torch.full((4, 2, 8, 2, 16), 7.0, device=HERE)  # blocks that hold K and V side by side
        wide = torch.full((4, 8, 5, 16), 7.0, device=HERE)[:, :, 1:3]
        write(lay_out(k[None])[0], heads_first(v[None])[0], both[:, 0], wide, slots)
        for cache, x in ((both[:, 0], k), (wide, v)):
            want = expected(torch.full((6, 8, 2, 16), 7.0, device=HERE), x, slots)[1:-1]
            assert torch.equal(cache, want), f"{lay_out.__name__}"
        assert both[:, 1].eq(7).all(), f"{lay_out.__name__}: the other half of the blocks was written to"


def quantised(x, kind):
    """x (T, G, D) in 8 bits, by torch: numbers as float32 and the scale (T, G)."""
    x, largest = x.float(), EIGHT_BITS[kind]
    scale = x.abs().amax(-1) / largest
    scale[scale == 0] = 1.0
    scaled = (x / scale[..., None]).clamp(-largest, largest)
    return (scaled.round() if kind == torch.int8 else scaled.to(kind).float()), scale


def quantise_case(D=16):
    """Rows of ordinary numbers, of zeros, of one number, of huge and of tiny ones, and of ties at scale 1."""
    k, v = tokens(8, 2, D)
    k[1], k[2], k[3], k[4] = 0.0, 5.0, 1e30 * k[3], 1e-30 * k[4]
    k[5, 0] = torch.arange(D, device=HERE) - D / 2 + 0.5
    k[5, 0, 0] = 127.0
    k[5, 1] = 17.0 + 2 * torch.arange(D, device=HERE)  # between the steps of e4m3
    k[5, 1, 0] = 448.0
    k[6] *= torch.logspace(-9, 0, D, device=HERE)
    return k, v


@check
def eight_bits(write):
    """Numbers and scales as torch makes them: nearest, ties to even, 1 for a row of zeros."""
    for kind, dtype in product(EIGHT_BITS, (torch.float32, torch.bfloat16)):
        if kind == torch.float8_e4m3fn and HERE == "cuda" and torch.cuda.get_device_capability() < (8, 9):
            continue
        k, v = (x.to(dtype) for x in quantise_case())
        slots = some_slots(8, 20, skip=(7,))
        _, (k_cache, v_cache) = caches(5, 4, dtype=kind)
        scales = [torch.full((5, 4, 2), 7.0, device=HERE) for _ in "kv"]
        write(k, v, k_cache, v_cache, slots, k_scale=scales[0], v_scale=scales[1])
        for cache, scale, x in zip((k_cache, v_cache), scales, (k, v), strict=True):
            want, want_scale = quantised(x, kind)
            rows = cache.float().flatten(0, 1)[slots[:7]]
            assert torch.equal(scale.flatten(0, 1)[slots[:7]], want_scale[:7]), f"{kind} {dtype}: scales"
            assert torch.equal(rows, want[:7]), f"{kind} {dtype}: {(rows - want[:7]).abs().max()}"
            assert scale.eq(7).sum() == 2 * (20 - 7), f"{kind} {dtype}: scales were written elsewhere"
            assert cache.float().eq(7).flatten(0, 1).all(-1).sum() >= 2 * (20 - 7), f"{kind}: written elsewhere"


@check
def what_is_not_finite_stays_so(write):
    """A row with NaN or an infinity is NaN when it is widened again, in the kernel's cache as in torch's; others are not."""
    for kind, bad in product(EIGHT_BITS, (math.nan, math.inf, -math.inf)):
        if kind == torch.float8_e4m3fn and HERE == "cuda" and torch.cuda.get_device_capability() < (8, 9):
            continue
        k, v = tokens(3)
        k[1, 0, 5], v[2, 1, 0] = bad, bad
        _, (k_cache, v_cache) = caches(1, 4, dtype=kind)
        scales = [torch.full((1, 4, 2), 7.0, device=HERE) for _ in "kv"]
        write(k, v, k_cache, v_cache, torch.arange(3, device=HERE), k_scale=scales[0], v_scale=scales[1])
        for cache, scale, x in zip((k_cache, v_cache), scales, (k, v), strict=True):
            widened = (cache.float() * scale[..., None])[0, :3]
            by_torch, torch_scale = quantised(x, kind)
            assert torch.equal(widened.isnan(), (by_torch.to(kind).float() * torch_scale[..., None]).isnan()), (
                f"{kind} {bad}"
            )
            assert widened.isnan().sum() == 16, f"{kind} {bad}"


@check
def bytes_as_the_formula(write):
    """Kept rows are read once and written once."""
    if HERE == "cuda":
        return
    for dtype, kind in product(DTYPES, (None, torch.int8)):
        k, v = tokens(9, 2, 80, dtype)
        _, (k_cache, v_cache) = caches(4, 4, 2, 80, kind or dtype)
        scales = {} if kind is None else {name: torch.empty(4, 4, 2) for name in ("k_scale", "v_scale")}
        slots = some_slots(9, 16, skip=(0, 2))
        with ml.count() as c:
            write(k, v, k_cache, v_cache, slots, **scales)
        want = kv_write_bytes(9, 2, 80, skipped=2, dtype_bytes=dtype.itemsize, cache_bytes=kind and 1)
        assert (c.bytes_loaded, c.bytes_stored, c.flops) == (want.loaded, want.stored, 0), f"{dtype} {kind}"
        assert c.peak_bytes == 0, "memory was taken"


@pytest.mark.filterwarnings("ignore")  # NumPy's, of NaN
@pytest.mark.parametrize("name", CHECKS)
def test_it_passes(name):
    CHECKS[name](kv_write)


def test_no_tokens():
    k, v = tokens(0)
    memory, (k_cache, v_cache) = caches(2, 4)
    kv_write(k, v, k_cache, v_cache, some_slots(0, 8))
    assert all(m.eq(7).all() for m in memory)


FAULTS = {
    "nowhere is somewhere": ("(slots >= 0) & (slots < num_slots)", "(slots < num_slots)", "values"),
    "tokens past the last": ("mask=t < T, other=-1", "mask=t < T, other=0", "values"),
    "places from the end": ("n, p = slots // P, slots % P", "n, p = slots // P, P - 1 - slots % P", "values"),
    "heads in turn": ("t, g = rows // G, rows % G", "t, g = rows % T, rows % G", "values"),
    "columns unmasked": ("mask_d = offs_d < D", "mask_d = offs_d < D + 1", "values"),
    "values by the keys' strides": ("t * stride_vt + g * stride_vg", "t * stride_kt + g * stride_kg", "strided_views"),
    "cache of values by that of keys": ("n * stride_cvn + p * stride_cvp", "n * stride_ckn + p * stride_ckp", "strided_views"),
    "values into the keys": ("write_rows(v_ptrs, v_cache_ptrs", "write_rows(v_ptrs, k_cache_ptrs", "values"),
    "keys' scale for values": ("v_scale_ptr + scales if", "k_scale_ptr + scales if", "eight_bits"),
    "one scale a token": ("tl.max(tl.abs(x), 1)", "tl.max(tl.abs(x), 1) * 0 + tl.max(tl.max(tl.abs(x), 1), 0)", "eight_bits"),
    "scale of the largest, not of its size": ("tl.max(tl.abs(x), 1)", "tl.max(x, 1)", "eight_bits"),
    "what is not finite": (" + tl.sum(x * 0.0, 1)", "", "what_is_not_finite_stays_so"),
    "division by zero": ("scale = tl.where(scale == 0.0, 1.0, scale)", "scale = scale", "eight_bits"),
    "cut off, not rounded": ("return (x + magic) - magic", "return x", "eight_bits"),
    "rounds half of it up": ("return (x + magic) - magic", "return tl.floor(x + 0.5)", "eight_bits"),
    "steps of half the size": ("* 1572864.0", "* 786432.0", "eight_bits"),
    "scales of another slot": ("scales = slots * G + g", "scales = t * G + g", "eight_bits"),
}  # fmt: skip


def edited(old, new, folder):
    """The module with one edit."""
    source = Path(runtime.__file__).with_name("kv_write.py").read_text()
    assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in the kernel; bring this test up to date"
    path = folder / "edited_kv_write.py"
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
    with pytest.raises(AssertionError):
        CHECKS[name](edited(old, new, tmp_path).kv_write)


def run_far_apart(module):
    """Run the kernel with 2**30 elements between tokens, heads, blocks and places; no token is kept."""
    far = torch.empty_strided((5, 3, 16), (2**30, 2**30, 1), device="meta")
    cache = torch.empty_strided((5, 4, 3, 16), (2**30, 2**30, 2**30, 1), device="meta")
    with rehearse("interpreter") as launches:
        module.kv_write(far, far, cache, cache, torch.empty(5, dtype=torch.int64, device="meta"))
    (launch,) = launches
    args = [torch.zeros(64, dtype=x.dtype) - 1 if isinstance(x, torch.Tensor) else x for x in launch.args]
    slots = args[list(inspect.signature(launch.kernel.fn).parameters).index("slots_ptr")]
    slots.copy_(10**6)  # a slot beyond the cache, whose address is computed all the same
    launch.kernel[launch.grid](*args, **launch.constants)


@interpreted
@pytest.mark.parametrize("right", [True, False], ids=["as it is", "with narrow rows"])
def test_offsets_past_two_to_the_31st(right, tmp_path, monkeypatch):
    from triton.runtime.interpreter import interpreter_builder

    monkeypatch.setattr(interpreter_builder, "options", dataclasses.replace(interpreter_builder.options, debug=True))
    if right:
        return run_far_apart(importlib.import_module("minillm.kernels.kv_write"))
    with pytest.raises(Exception, match="int32 overflow detected"):
        run_far_apart(edited("tl.cast(tl.program_id(0), tl.int64)", "tl.program_id(0)", tmp_path))


K, V = (torch.zeros(3, 2, 16) for _ in "kv")
CACHE, SLOTS = torch.zeros(2, 4, 2, 16), torch.arange(3)
INT8, SCALE = torch.zeros(2, 4, 2, 16, dtype=torch.int8), torch.zeros(2, 4, 2)
BAD = {
    "a list": (([0.0], V, CACHE, CACHE, SLOTS), {}, InvalidType, "k must be a torch tensor; got list"),
    "integers": ((K.int(), V, CACHE, CACHE, SLOTS), {}, InvalidType, "k must be float16, bfloat16 or float32"),
    "float64": ((K.double(), V, CACHE, CACHE, SLOTS), {}, Unsupported, "k must be float16, bfloat16 or float32"),
    "a batch": ((K[None], V[None], CACHE, CACHE, SLOTS), {}, InvalidValue, r"same shape \(T, G, D\).* pack all texts"),
    "v is short": ((K, V[:2], CACHE, CACHE, SLOTS), {}, InvalidValue, r"got \(3, 2, 16\) and \(2, 2, 16\)"),
    "other heads": ((K, V, CACHE[:, :, :1], CACHE[:, :, :1], SLOTS), {}, InvalidValue, "k_cache must have shape .* with k's G and D"),
    "all layers": ((K, V, CACHE[None], CACHE[None], SLOTS), {}, InvalidValue, r"k_cache must have shape .* got \(1, 2, 4, 2, 16\)"),
    "unlike caches": ((K, V, CACHE, CACHE[:1], SLOTS), {}, InvalidValue, "k_cache and v_cache must be alike"),
    "dtypes": ((K, V, CACHE.half(), CACHE.half(), SLOTS), {}, InvalidType, "share one dtype, or the caches be int8"),
    "columns apart": ((K, V, CACHE.transpose(1, 3).contiguous().transpose(1, 3), CACHE, SLOTS), {}, InvalidValue, "last dimension must be contiguous"),
    "int32 slots": ((K, V, CACHE, CACHE, SLOTS.int()), {}, InvalidType, r"slot_mapping must be an int64 tensor \(T,\); got torch.int32"),
    "sparse slots": ((K, V, CACHE, CACHE, SLOTS.to_sparse()), {}, InvalidType, "slot_mapping must be a dense tensor; got torch.sparse"),
    "a slot short": ((K, V, CACHE, CACHE, SLOTS[:2]), {}, InvalidValue, r"shape \(T,\); got \(2,\) for 3 tokens"),
    "slot 8 of 8": ((K, V, CACHE, CACHE, SLOTS + 6), {}, InvalidValue, "slots must lie in 0 … 7, or be -1 for nowhere; got 8"),
    "slot -2": ((K, V, CACHE, CACHE, SLOTS - 2), {}, InvalidValue, "got -2"),
    "a slot twice": ((K, V, CACHE, CACHE, SLOTS // 2), {}, InvalidValue, "no two tokens may have one slot; got 0 twice"),
    "no scale": ((K, V, INT8, INT8, SLOTS), {}, InvalidType, "k_scale must be float32 for a cache in 8 bits.*; got None"),
    "one scale": ((K, V, INT8, INT8, SLOTS), {"k_scale": SCALE}, InvalidType, "v_scale must be float32 .*; got None"),
    "half a scale": ((K, V, INT8, INT8, SLOTS), {"k_scale": SCALE, "v_scale": SCALE.half()}, InvalidType, "v_scale .* got torch.float16"),
    "a scale too many": ((K, V, CACHE, CACHE, SLOTS), {"k_scale": SCALE}, InvalidType, "None for others; got torch.float32 for torch.float32"),
    "scales apart": ((K, V, INT8, INT8, SLOTS), {"k_scale": SCALE, "v_scale": torch.zeros(2, 4, 4)[..., ::2]}, InvalidValue, r"v_scale must be \(num_blocks, P, G\), contiguous"),
    "small scales": ((K, V, INT8, INT8, SLOTS), {"k_scale": SCALE[:1], "v_scale": SCALE}, InvalidValue, r"k_scale must be \(num_blocks, P, G\)"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_and_nothing_written(case):
    args, options, error, text = BAD[case]
    with pytest.raises(error, match=text):
        kv_write(*args, **options)
    assert CACHE.eq(0).all() and INT8.eq(0).all() and SCALE.eq(0).all()


def test_fp8_is_refused_where_no_gpu_has_it():
    k, cache = torch.zeros(3, 2, 16, device="meta"), torch.zeros(2, 4, 2, 16, device="meta").to(torch.float8_e4m3fn)
    scale, slots = torch.zeros(2, 4, 2, device="meta"), torch.zeros(3, dtype=torch.int64, device="meta")
    for target in ("sm_80", "sm_86"):
        with rehearse(target), pytest.raises(Unsupported, match=f"8.9 or higher; got {target}; keep the cache in int8"):
            kv_write(k, k, cache, cache, slots, k_scale=scale, v_scale=scale)
    for target in ("sm_89", "sm_90", "sm_100", "sm_120", "gfx942"):
        with rehearse(target) as launches:
            kv_write(k, k, cache, cache, slots, k_scale=scale, v_scale=scale)
        assert len(launches) == 1


@interpreted
def test_endless_interpretation_is_refused_with_what_would_fit():
    k, v = tokens(100, 8, 64)
    _, (k_cache, v_cache) = caches(16, 8, 8, 64)
    with allow_tile_steps(5):
        with pytest.raises(InvalidValue, match="got 25; use at most 20 tokens, or torch's index_copy_ on"):
            kv_write(k, v, k_cache, v_cache, some_slots(100, 128))
        kv_write(k[:20], v[:20], k_cache, v_cache, some_slots(20, 128))


@interpreted
def test_slots_that_nobody_looked_at_are_held_to_the_cache(monkeypatch):
    monkeypatch.setattr(importlib.import_module("minillm.kernels.kv_write"), "require_slots", lambda *_: None)
    k, v = tokens(3)
    memory, (k_cache, v_cache) = caches(2, 4)
    kv_write(k, v, k_cache, v_cache, torch.tensor([8, -2, 11]))
    assert all(m.eq(7).all() for m in memory)


@pytest.mark.gpu
def test_a_slot_beyond_the_cache_writes_nothing():
    k, v = tokens(3)
    memory, (k_cache, v_cache) = caches(2, 4)
    kv_write(k, v, k_cache, v_cache, torch.tensor([8, -5, 2**40], device="cuda"))
    assert all(m.eq(7).all() for m in memory)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_many_tokens(dtype):
    k, v = tokens(5000, 8, 128, dtype)
    slots = some_slots(5000, 8192)
    _, (k_cache, v_cache) = caches(512, 16, 8, 128, dtype)
    kv_write(k, v, k_cache, v_cache, slots)
    assert torch.equal(k_cache.flatten(0, 1)[slots], k) and torch.equal(v_cache.flatten(0, 1)[slots], v)
    assert math.prod(k_cache.shape) - int((k_cache != 7).sum()) >= 3192 * 8 * 128
