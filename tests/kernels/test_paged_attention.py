"""Paged attention: the same battery for the kernel and its torch twin, counters to the byte, and who may ask for what."""

import importlib
from dataclasses import replace

import numpy as np
import paged_battery
import pytest
import torch
from paged_battery import CHECKS, DECODE, DTYPES, HALF, MIXED, faithful, with_sinks
from paged_cases import make_case, quantize

import minillm as ml
from minillm.attention import tiled_paged_attention
from minillm.errors import InvalidType, InvalidValue, Unsupported
from minillm.kernels import flash_attention_varlen, flash_decode, mode, paged_attention
from minillm.kernels.attention_tiles import Tiles
from minillm.kernels.runtime import allow_tile_steps, rehearse
from minillm.measure.paged_cost import paged_attention_cost
from minillm.measure.splits import num_splits

here = mode().name
needs_triton = pytest.mark.skipif(here == "absent", reason="Triton is not installed")
interpreted = pytest.mark.skipif(here != "interpreter", reason="asks the interpreter")
DEVICE = "cuda" if here == "gpu" else "cpu"
# Mixtures of prompts, chunks and single tokens as an engine sends them, with the longest texts that tests of others have.
FULL = ((1, 1328), (5, 18), (129, 463), (1, 4000), (512, 3000), (0, 7), (1, 1))


def kernel(*args, block_l, block_s, **options):
    return paged_attention(*args, tiles=Tiles(block_l, block_s), **options)


@needs_triton
@pytest.mark.parametrize("name", CHECKS)
def test_the_kernel_passes(name):
    CHECKS[name](kernel, DEVICE)


@pytest.mark.parametrize("name", CHECKS)
def test_the_twin_passes(name):
    CHECKS[name](tiled_paged_attention, "cpu")


def own_tiles(*args, block_l, block_s, **options):
    return paged_attention(*args, **options)


@pytest.mark.gpu
@pytest.mark.parametrize("D", [64, 80, 128, 256])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_full_size_with_the_tables_tiles(dtype, D):
    for P, texts in ((16, FULL), (64, FULL), (128, tuple((1, S) for _, S in FULL))):
        case = make_case(texts, P=P, H=8, G=2, D=D, dtype=dtype, device="cuda")
        for plan in ({}, {"window": 300}, {"softcap": 4.0, "sinks": True}):
            faithful(own_tiles, case, num_splits=None, **with_sinks(plan, case))


@pytest.mark.gpu
@pytest.mark.parametrize("kind", [torch.int8, torch.float8_e4m3fn], ids=str)
@pytest.mark.parametrize("dtype", HALF, ids=str)
def test_full_size_quantized(dtype, kind):
    for P, texts in ((16, FULL), (64, tuple((1, S) for _, S in FULL))):
        case, scales = quantize(make_case(texts, P=P, H=8, G=2, D=128, dtype=dtype, device="cuda"), kind)
        faithful(own_tiles, case, num_splits=None, **scales)


def test_the_twin_keeps_float64():
    case = make_case(MIXED, H=4, G=2, dtype=torch.float64)
    want, want_lse = paged_battery.oracle(case, window=30)
    out, lse = tiled_paged_attention(*case.call, window=30, num_splits=2, return_lse=True)
    assert lse.dtype == torch.float64
    torch.testing.assert_close((out, lse), (want, want_lse), atol=1e-13, rtol=1e-13)


COUNTED = [
    {},
    {"window": 20},
    {"sinks": True, "num_splits": 3},
    {"window": 20, "sinks": True, "num_splits": 3},
]


FORMS = [tiled_paged_attention, *([kernel] if here == "interpreter" else [])]


@pytest.mark.parametrize("plan", COUNTED, ids=str)
@pytest.mark.parametrize("texts", [DECODE, MIXED], ids=["decode", "mixed"])
@pytest.mark.parametrize("P", [8, 64])
def test_kernel_twin_and_formula_count_the_same(P, texts, plan):
    case = make_case(texts, P=P, H=6, G=2, D=24)
    options = {"num_splits": 1, "block_l": 16, "block_s": 32, **with_sinks(plan, case)}
    want = paged_attention_cost(texts, 6, 2, 24, block_size=P, block_l=16, block_s=32, dtype_bytes=4, **plan)
    peaks = set()
    for form in FORMS:
        with ml.count() as c:
            form(*case.call, **options)
        assert (c.bytes_loaded, c.bytes_stored, c.flops) == (want.bytes.loaded, want.bytes.stored, want.flops)
        peaks.add(c.peak_bytes)
    assert len(peaks) == 1


@pytest.mark.parametrize("form", FORMS)
def test_rows_whose_windows_begin_after_the_first_run_are_counted(form):
    """Windows of 20 begin at keys 30 to 34, and the first run ends at 31: what it has for the last rows is their sink."""
    case = make_case(((5, 54),), P=64, H=6, G=2, D=24)
    for plan in ({"window": 20, "num_splits": 2}, {"window": 20, "num_splits": 2, "sinks": True}):
        want = paged_attention_cost([(5, 54)], 6, 2, 24, block_size=64, block_l=16, block_s=32, dtype_bytes=4, **plan)
        options = with_sinks(plan, case)
        with ml.count() as c:
            form(*case.call, block_l=16, block_s=32, **options)
        assert (c.bytes_loaded, c.bytes_stored) == (want.bytes.loaded, want.bytes.stored), plan


@pytest.mark.parametrize("texts", [DECODE, MIXED], ids=["decode", "mixed"])
def test_a_quantized_cache_is_counted_too(texts):
    case, scales = quantize(make_case(texts, H=4, G=2, dtype=torch.bfloat16), torch.int8)
    want = paged_attention_cost(texts, 4, 2, 32, block_size=16, block_l=32, block_s=64, quantized=True)
    for form in FORMS:
        with ml.count() as c:
            form(*case.call, num_splits=1, block_l=32, block_s=64, **scales)
        assert (c.bytes_loaded, c.bytes_stored, c.flops) == (want.bytes.loaded, want.bytes.stored, want.flops)


@needs_triton
def test_blocks_in_a_row_are_packed_sequences():
    """One block after the other holds what the packed kernel reads, and one query a text is decoding."""
    case = make_case(((40, 40), (64, 64), (7, 7)), P=8, H=4, G=2, device=DEVICE)
    ends, k, v = case.query_start_loc, torch.cat(case.k), torch.cat(case.v)
    want = flash_attention_varlen(case.q, k, v, ends, ends, 64, 64, causal=True, window=30)
    torch.testing.assert_close(paged_attention(*case.call, window=30), want, atol=2e-6, rtol=2e-6)
    case = make_case(((1, 60), (1, 60)), P=64, H=4, G=2, device=DEVICE)
    want = flash_decode(case.q, torch.stack(case.k), torch.stack(case.v), case.seq_lens)
    torch.testing.assert_close(paged_attention(*case.call), want, atol=2e-6, rtol=2e-6)


@needs_triton
def test_a_text_of_no_tokens_sees_nothing():
    """What fills up a batch of fixed size: the checked call refuses it, the one for callers who know their tables does not."""
    attend_paged = importlib.import_module("minillm.kernels.paged_attention").attend_paged
    case = make_case(((1, 20), (1, 1)), device=DEVICE)
    empty = case.but(seq_lens=case.seq_lens * torch.tensor([1, 0], dtype=torch.int32, device=DEVICE))
    with pytest.raises(InvalidValue, match="got 0 for 1 queries of text 1"):
        paged_attention(*empty.call)
    sinks = torch.tensor([2.0, -1.0], device=DEVICE)
    for given, splits, longest in ((None, 1, 1), (sinks, 1, 1), (None, 2, 1), (sinks, 2, 1), (sinks, 1, 2)):
        texts = [(1, 20), (1, 0)]
        out, lse = attend_paged(
            *empty.call[:6], longest, 5, 0.0, given, None, None, None, splits, Tiles(16, 16), texts
        )  # fmt: skip
        assert out[1].eq(0).all() and not out.isnan().any()
        assert torch.equal(lse[:, 1], torch.full_like(sinks, -torch.inf) if given is None else sinks)


@interpreted
def test_the_wrapper_chooses_tiles_and_runs():
    """One query a text is split as the rule says for the target; a mixture is not, and gets taller tiles."""
    one, many = (
        make_case(texts, D=128, H=8, dtype=torch.bfloat16) for texts in (((1, 4000),) * 2, ((1, 4000), (512, 4000)))
    )
    with rehearse("sm_90") as launches:
        paged_attention(*one.call)
        paged_attention(*many.call)
        paged_attention(*one.call, window=np.int64(512))
    decode, merge, mixed, windowed, _ = launches
    runs = num_splits(2, 132, -(-one.block_table.shape[1] * 16 // 64))
    assert decode.constants["DECODE"] and decode.constants["BLOCK_M"] == 16 and decode.grid == (2 * runs,)
    assert runs > 32 and merge.kernel.fn.__name__ == "merge_splits_kernel"
    assert windowed.grid == (2 * num_splits(2, 132, 512 // 64),) and windowed.grid[0] < decode.grid[0]
    assert not mixed.constants["DECODE"] and mixed.constants["BLOCK_M"] == 128 and mixed.grid == (513 // 16 + 2,)


@interpreted
def test_it_can_be_rehearsed_for_a_gpu_that_nobody_has():
    shapes = [x.to("meta") if isinstance(x, torch.Tensor) else x for x in make_case(MIXED).call]
    with rehearse("sm_90") as launches:
        out, lse = paged_attention(*shapes, return_lse=True)
    assert out.shape == shapes[0].shape and lse.shape == (2, len(shapes[0])) and len(launches) == 1


FLOAT8 = torch.zeros(12, 16, 1, 32, dtype=torch.float8_e4m3fn)
SCALES = torch.ones(12, 16, 1)
REFUSED = {
    "float64": (dict.fromkeys(("q", "k_cache", "v_cache"), torch.float64), {}, Unsupported, "got torch.float64; use minillm.attention.tiled_paged"),
    "too wide": ({}, {"D": 257}, Unsupported, "head widths D up to 256; got 257"),
    "no tiles": ({}, {"tiles": (16, 16)}, InvalidType, "tiles must be Tiles"),
    "no runs": ({}, {"num_splits": 0}, InvalidValue, "num_splits must be at least 1; got 0"),
    "too many runs": ({}, {"num_splits": 2**40}, InvalidValue, "num_splits must be at most 128; got 1099511627776"),
    "half a run": ({}, {"num_splits": 1.5}, InvalidType, "num_splits must be a whole number; got 1.5"),
    "another table": ({}, {"max_query_len": 3}, InvalidValue, "longest run of queries; got 3 for a text of 29"),
}  # fmt: skip


def test_the_twin_has_as_many_runs_and_makes_shapes_of_tensors_without_memory():
    with pytest.raises(InvalidValue, match="num_splits must be at most 128; got 129"):
        tiled_paged_attention(*make_case(MIXED).call, num_splits=129)
    for texts in (MIXED, DECODE):
        call = [x.to("meta") if isinstance(x, torch.Tensor) else x for x in make_case(texts).call]
        out, lse = tiled_paged_attention(*call, num_splits=2, return_lse=True)
        assert out.is_meta and out.shape == call[0].shape and lse.shape == call[0].shape[1::-1]


@needs_triton
@pytest.mark.parametrize("case", REFUSED)
def test_bad_input_is_refused_before_any_work(case, monkeypatch):
    module = importlib.import_module("minillm.kernels.paged_attention")
    monkeypatch.setattr(module, "launch", lambda *_, **__: pytest.fail("a kernel was launched"))
    dtypes, options, error, text = REFUSED[case]
    made = make_case(MIXED, D=options.get("D", 32), device=DEVICE)
    made = made.but(**{name: getattr(made, name).to(dtype) for name, dtype in dtypes.items()})
    made = replace(made, max_query_len=options.get("max_query_len", made.max_query_len))
    options = {name: x for name, x in options.items() if name in ("tiles", "num_splits")}
    with pytest.raises(error, match=text):
        paged_attention(*made.call, **options)


@needs_triton
def test_layouts_that_would_have_to_be_copied_are_refused():
    case = make_case(MIXED, device=DEVICE)
    turned = case.v_cache.transpose(1, 3).contiguous().transpose(1, 3)
    with pytest.raises(Unsupported, match=r"v_cache must have a contiguous last dimension.*got stride 16"):
        paged_attention(*case.but(v_cache=turned).call)
    case, scales = quantize(case, torch.int8)
    scales["k_scale"] = torch.stack([scales["k_scale"]] * 2, -1)[..., 0]
    with pytest.raises(Unsupported, match=r"k_scale must be contiguous: .*allocate it \(num_blocks, P, G\)"):
        paged_attention(*case.call, **scales)


@needs_triton
def test_gradients_are_refused_by_name():
    case = make_case(MIXED, device=DEVICE)
    call = case.but(k_cache=case.k_cache.clone().requires_grad_()).call
    with pytest.raises(Unsupported, match=r"no backward pass.*got k_cache with requires_grad=True"):
        paged_attention(*call)
    with torch.no_grad():
        paged_attention(*call)


@interpreted
@pytest.mark.parametrize("target", ["sm_80", "sm_86"])
def test_float8_needs_a_gpu_that_reads_it(target):
    case, scales = quantize(make_case(MIXED), torch.float8_e4m3fn)
    with rehearse(target), pytest.raises(Unsupported, match=f"8.9 or newer; got {target}; keep the cache in int8"):
        paged_attention(*case.call, **scales)
    with rehearse("sm_89"):
        paged_attention(*case.call, **scales)


@interpreted
def test_endless_interpretation_is_refused_with_what_would_fit():
    case = make_case(((1, 70), (64, 64), (1, 1)), device=DEVICE)
    with (
        allow_tile_steps(3),
        pytest.raises(InvalidValue, match=r"got 5; use the first 1 texts, or minillm\.attention\.tiled"),
    ):
        paged_attention(*case.call)
    with allow_tile_steps(1), pytest.raises(InvalidValue, match="use a text of 35 tokens, 1 of them new, or"):
        paged_attention(*case.call)
    with allow_tile_steps(5):
        paged_attention(*case.call)


def test_a_refusal_looks_at_each_text_once(monkeypatch):
    module, looked = importlib.import_module("minillm.kernels.paged_input"), []
    monkeypatch.setattr(module, "paged_tile_steps", lambda texts, *_: looked.extend(texts) or 2 * len(texts))
    assert module.fewer_texts([(1, 70)] * 500, 1, 1, Tiles(16, 64), 1, None, 41) == "the first 20 texts"
    assert len(looked) == 500
