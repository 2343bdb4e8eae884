"""Flash decoding, kernel and twin: one battery for both, equal bytes, and the rule for how many runs the keys are cut into."""

import importlib
import math

import decode_battery
import numpy as np
import pytest
import torch
from attention_cases import assert_close, loop_attention, tensors
from decode_battery import faithful, make, oracle
from flash_battery import DTYPES

import minillm as ml
from minillm.attention.merge import naive_merge_states
from minillm.attention.naive_decode import naive_decode
from minillm.attention.tiled import tiled_attention
from minillm.attention.tiled_decode import tiled_decode
from minillm.errors import InvalidType, InvalidValue, Unsupported
from minillm.kernels import flash_attention, flash_decode, mode
from minillm.kernels.attention_tiles import Tiles
from minillm.kernels.decode_tiles import PROCESSORS, DecodeTiles
from minillm.kernels.merge_splits import merge_splits
from minillm.kernels.runtime import allow_tile_steps, rehearse
from minillm.measure.decode_cost import (
    flash_decode_cost,
    merge_splits_cost,
    per_head_decode_cost,
    split_decode_cost,
)
from minillm.measure.splits import num_splits as splits_for

HERE = "cuda" if mode().name == "gpu" else "cpu"
kernel_only = pytest.mark.skipif(mode().name == "absent", reason="Triton is not installed")
interpreted = pytest.mark.skipif(mode().name != "interpreter", reason="asks the interpreter")


def kernel(*args, block_s=64, **options):
    """The kernel with the battery's way of choosing a tile."""
    return flash_decode(*args, tiles=DecodeTiles(block_s), **options)


FORMS = [pytest.param(kernel, marks=kernel_only, id="kernel"), pytest.param(tiled_decode, id="twin")]


@pytest.mark.filterwarnings("ignore")  # NumPy's, of NaN
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("name", decode_battery.CHECKS)
def test_it_passes(name, form):
    decode_battery.CHECKS[name](form, HERE)


def test_the_oracle_is_the_definition():
    q, k, v = tensors(1, 9, H=4, G=2, D=4, B=3)
    lengths = [9, 4, 0]
    options = {"window": 3, "softcap": 2.0, "sinks": torch.linspace(-1, 1, 4), "scale": 0.6}
    out, lse = naive_decode(q[:, 0], k, v, torch.tensor(lengths, dtype=torch.int32), return_lse=True, **options)
    for b, n in enumerate(lengths):
        want, want_lse = loop_attention(q[b : b + 1], k[b : b + 1, :n], v[b : b + 1, :n], **options)
        assert_close(out[b], want[0, 0], 1e-12, f"out {b}")
        assert_close(lse[b], want_lse[0, :, 0], 1e-12, f"lse {b}")


def test_the_twin_keeps_float64():
    args = make("cpu", [150, 70, 0], 150, H=6, G=2, dtype=torch.float64)
    out, lse = tiled_decode(*args, return_lse=True, num_splits=3, window=100)
    want, want_lse = oracle(*args, window=100)
    assert_close(out, want, 1e-12, "out")
    assert_close(lse, want_lse, 1e-12, "lse")


@kernel_only
def test_kernel_and_twin_agree_to_rounding():
    for dtype in DTYPES:
        args = make(HERE, [150, 70], 150, H=6, G=2, dtype=dtype)
        got, want = kernel(*args, num_splits=2), tiled_decode(*args, num_splits=2)
        assert (got.double() - want.double()).abs().max() <= 4 * torch.finfo(dtype).eps * want.double().abs().max()


CASES = [
    dict(lengths=[150, 70], H=4, G=2),
    dict(lengths=[150, 0, 1], H=6, G=2, num_splits=3),
    dict(lengths=[149, 64], H=5, G=1, window=40, num_splits=2),
    dict(lengths=[128, 65, 0], H=10, G=2, window=70, sinks=True, num_splits=7),
    dict(lengths=[128, 65, 0], H=2, G=2, sinks=True),
    dict(lengths=[100], H=70, G=1, num_splits=2),
]


def counted(form, case, dtype):
    """Counters of one call, and the inputs of its formula."""
    case = {"window": None, "sinks": False, "num_splits": 1, **case}
    args = make("cpu", case["lengths"], 150, H=case["H"], G=case["G"], D=80, dtype=dtype)
    options = decode_battery.with_sinks({"sinks": case["sinks"] or None}, case["H"], "cpu")
    with ml.count() as c:
        form(*args, window=case["window"], num_splits=case["num_splits"], block_s=32, **options)
    return c, (case.pop("lengths"), case.pop("H"), case.pop("G"), 80), case


@pytest.mark.parametrize("form", [pytest.param(kernel, marks=interpreted, id="kernel"), FORMS[1]])
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("case", CASES, ids=str)
def test_kernel_twin_and_formula_count_the_same(case, dtype, form):
    c, shape, options = counted(form, case, dtype)
    want = flash_decode_cost(*shape, block_s=32, dtype_bytes=dtype.itemsize, **options)
    assert (c.bytes_loaded, c.bytes_stored, c.flops) == (want.bytes.loaded, want.bytes.stored, want.flops)
    assert c.peak_bytes == held_bytes(*shape, options["num_splits"], dtype.itemsize)


def held_bytes(lengths, H, _, D, num_splits, dtype_bytes):
    """out and lse, and the runs' partials if there are several."""
    rows = len(lengths) * H
    return rows * (D * dtype_bytes + 4) + (num_splits > 1) * num_splits * rows * (D + 1) * 4


def test_the_formulas_add_up():
    shape = ([8192] * 32, 32, 8, 128)
    one, many = (flash_decode_cost(*shape, block_s=64, num_splits=n) for n in (1, 4))
    keys = 2 * 32 * 8192 * 8 * 128 * 2
    assert one.bytes.loaded == keys + 32 * 32 * 128 * 2 + 32 * 8 * 4
    first, second = (
        split_decode_cost(*shape, block_s=64, num_splits=4),
        merge_splits_cost(shape[0], 32, 128, block_s=64, num_splits=4),
    )
    assert many == first + second and first.programs == 32 * 8 * 4
    per_head = per_head_decode_cost(shape[0], 32, 128, block_l=64, block_s=64)
    assert per_head.bytes.loaded == 4 * keys + 32 * 32 * 128 * 2


def attend_with_the_kernel(q, k, v, **options):
    return flash_attention(q, k, v, tiles=Tiles(16, 32), **options)


def attend_with_the_twin(q, k, v, **options):
    return tiled_attention(q, k, v, block_l=16, block_s=32, **options)


@pytest.mark.parametrize("attend", [pytest.param(attend_with_the_kernel, marks=interpreted), attend_with_the_twin])
@pytest.mark.parametrize("plan", [{}, {"window": 40}, {"sinks": True}], ids=str)
def test_a_program_a_head_reads_shared_keys_again(plan, attend):
    """The form that does not know of groups is flash attention with one query a text: its bytes do not depend on G."""
    lengths, H, D = [150, 70, 0], 4, 32
    options = decode_battery.with_sinks(plan, H, "cpu")
    for G in (1, 2, 4):
        q, k, v, _ = make("cpu", lengths, 150, H=H, G=G, D=D, dtype=torch.bfloat16)
        with ml.count() as c:
            for b, n in enumerate(lengths):
                attend(q[b : b + 1, None], k[b : b + 1, :n], v[b : b + 1, :n], **options)
        want = per_head_decode_cost(lengths, H, D, block_l=16, block_s=32, **plan)
        assert (c.bytes_loaded, c.bytes_stored, c.flops) == (want.bytes.loaded, want.bytes.stored, want.flops)


@kernel_only
@pytest.mark.parametrize(("n", "D"), [(1, 5), (3, 80), (40, 256), (130, 64)])
def test_runs_merge_as_states_do(n, D):
    """More runs than a chunk holds, logs far apart, and runs that saw nothing and hold NaN."""
    generator = torch.Generator().manual_seed(n)
    outs = torch.randn(n, 2, 3, D, generator=generator).to(HERE)
    lses = (torch.randn(n, 2, 3, generator=generator) * 40).to(HERE)
    lses[n // 2 :, 0, 1] = -math.inf
    lses[:, 1, 2] = -math.inf
    outs[lses == -math.inf] = math.nan
    want, want_lse = naive_merge_states(outs[:, :, None].double(), lses[..., None].double())
    for dtype in DTYPES:
        out, lse = torch.full((2, 3, D), math.nan, dtype=dtype, device=HERE), torch.empty(2, 3, device=HERE)
        merge_splits(outs, lses, out, lse)
        assert_close(out, want[:, 0], max(1e-5, torch.finfo(dtype).eps), f"out {dtype}")
        assert_close(lse, want_lse[..., 0], 1e-5, "lse")


@kernel_only
@pytest.mark.parametrize(("n", "D"), [(128, 256), (128, 5), (7, 80)])
def test_a_program_of_the_merge_holds_as_many_parts_as_fit_its_registers(n, D):
    outs, lses = torch.empty(n, 2, 3, D, device="meta"), torch.empty(n, 2, 3, device="meta")
    with rehearse("sm_90") as launches:
        merge_splits(outs, lses, outs[0], lses[0])
    held = launches[0].constants
    assert held["BLOCK_N"] == min(128 if n == 128 else 8, 8192 // held["BLOCK_D"])


@kernel_only
def test_without_a_number_the_rule_decides():
    """A rehearsal has its target's multiprocessors; each run is a program, and runs are merged in a second launch."""
    q, k, v, seq_lens = (x.to("meta") for x in make("cpu", [1], 8192, H=32, G=8, D=128, dtype=torch.bfloat16))
    for target, window, tiles in (("sm_90", None, 128), ("sm_80", 512, 8)):
        with rehearse(target) as launches:
            out = flash_decode(q, k, v, seq_lens, window=window)
        want = splits_for(8, PROCESSORS[target], tiles)
        assert want > 1 and out.shape == q.shape
        assert [launch.grid for launch in launches] == [(8 * want,), (32,)]
    with rehearse("sm_90") as launches:
        flash_decode(*(x.expand(64, *x.shape[1:]) for x in (q, k, v, seq_lens)))
    assert [launch.grid for launch in launches] == [(64 * 8,)]


def test_the_rule_knows_tall_groups():
    with rehearse("sm_90") as launches:
        q, k, v, seq_lens = (x.to("meta") for x in make("cpu", [1], 64, H=71, G=1, D=64, dtype=torch.float16))
        flash_decode(q, k, v, seq_lens, num_splits=1)
    assert launches[0].grid == (2,) and launches[0].constants["BLOCK_H"] == 64


@interpreted
def test_endless_interpretation_is_refused_with_what_would_fit():
    args = make(HERE, [140, 70, 70], 150, H=4, G=2, D=16)
    with allow_tile_steps(11):
        with pytest.raises(InvalidValue, match=r"got 14; use the first 2 texts, or minillm.*tiled_decode, or a GPU"):
            flash_decode(*args)
        flash_decode(*(x[:2] for x in args))
    with allow_tile_steps(4), pytest.raises(InvalidValue, match="use one text of at most 128 keys"):
        flash_decode(*args)


def test_a_refusal_looks_at_each_text_once():
    looked = []
    lengths = [70] * 500

    def steps(some, *_):
        looked.extend(some)
        return 2 * len(some)

    module = importlib.import_module("minillm.kernels.flash_decode")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "tile_steps", steps)
        assert module.smaller_batch(lengths, 1, 1, DecodeTiles(64), 1, None, 41) == "the first 20 texts"
    assert looked == lengths


ARGS = make("cpu", [3, 2], 3, H=2)
BAD = {
    "a list": (([1.0], *ARGS[1:]), {}, InvalidType, r"q must be a torch tensor \(B, H, D\); got list"),
    "an axis for L": ((ARGS[0][:, None], *ARGS[1:]), {}, InvalidValue, r"q must have 3 dimensions .* got 4: \(2, 1, 2, 32\)"),
    "int64 lengths": ((*ARGS[:3], ARGS[3].long()), {}, InvalidType, r"int32 tensor \(B,\); got torch.int64"),
    "a list of lengths": ((*ARGS[:3], [3, 2]), {}, InvalidType, "int32 tensor .*; got list"),
    "a length too few": ((*ARGS[:3], ARGS[3][:1]), {}, InvalidValue, r"shape \(B,\); got \(1,\) for B=2"),
    "lengths elsewhere": ((*ARGS[:3], ARGS[3].to("meta")), {}, InvalidValue, "on q's device; got meta and cpu"),
    "too long": ((*ARGS[:3], ARGS[3] + 1), {}, InvalidValue, "lie in 0 … S = 3; got 4 for text 0; count the keys"),
    "negative": ((*ARGS[:3], ARGS[3] - 3), {}, InvalidValue, "lie in 0 … S = 3; got -1 for text 1"),
    "dtypes differ": ((ARGS[0].half(), *ARGS[1:]), {}, InvalidType, "share one dtype"),
    "heads do not divide": (make("cpu", [3], 3, H=3, G=2), {}, InvalidValue, "multiple of num_kv_heads G; got 3 and 2"),
    "no runs": (ARGS, {"num_splits": 0}, InvalidValue, "num_splits must be at least 1; got 0"),
    "half a run": (ARGS, {"num_splits": 1.5}, InvalidType, "num_splits must be a whole number; got 1.5"),
    "too many runs": (ARGS, {"num_splits": 129}, InvalidValue, "num_splits must be at most 128; got 129; leave it out"),
    "sparse lengths": ((*ARGS[:3], ARGS[3].to_sparse()), {}, InvalidType, "seq_lens must be a dense tensor; got torch.sparse"),
    "no window": (ARGS, {"window": 0}, InvalidValue, "window must be at least 1"),
    "sinks short": (ARGS, {"sinks": torch.zeros(1)}, InvalidValue, r"shape \(H,\)"),
}  # fmt: skip


@pytest.mark.parametrize("form", [flash_decode, tiled_decode, naive_decode], ids=["kernel", "twin", "naive"])
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_before_any_work(case, form, monkeypatch):
    args, options, error, text = BAD[case]
    if form is naive_decode and "num_splits" in options:
        pytest.skip("has no runs")
    if form is flash_decode:
        module = importlib.import_module("minillm.kernels.flash_decode")
        monkeypatch.setattr(module, "launch", lambda *_, **__: pytest.fail("a kernel was launched"))
    with pytest.raises(error, match=text):
        form(*args, **options)


@pytest.mark.parametrize("form", FORMS)
def test_a_window_may_be_any_whole_number(form):
    args = make(HERE, [150, 70], 150, H=4, G=2)
    assert torch.equal(form(*args, window=np.int64(40)), form(*args, window=40))


def test_the_twin_makes_shapes_of_tensors_without_memory():
    args = [x.to("meta") for x in make("cpu", [3, 2], 3, H=2)]
    out, lse = tiled_decode(*args, num_splits=2, return_lse=True)
    assert out.is_meta and out.shape == (2, 2, 32) and lse.shape == (2, 2)


def test_what_the_kernel_cannot_take_is_refused_by_name():
    with pytest.raises(Unsupported, match=r"takes float16, .* got torch.float64; use minillm.attention.tiled_decode"):
        flash_decode(*make("cpu", [3], 3, dtype=torch.float64))
    with pytest.raises(Unsupported, match=r"widths D up to 256; got 257; use minillm.attention.tiled_decode"):
        flash_decode(*make("cpu", [3], 3, D=257))
    q, k, v, seq_lens = ARGS
    with pytest.raises(Unsupported, match=r"no backward pass.* got k with requires_grad=True; use flash_attention"):
        flash_decode(q, k.clone().requires_grad_(), v, seq_lens)
    with pytest.raises(InvalidType, match=r"tiles must be DecodeTiles.*minillm.kernels.decode_tiles"):
        flash_decode(*ARGS, tiles=Tiles(16, 16))
    with pytest.raises(InvalidValue, match="block_s must be a power of two; got 48; use 32 or 64"):
        DecodeTiles(48)


@pytest.mark.gpu
@pytest.mark.parametrize("name", decode_battery.CHECKS)
def test_the_kernel_passes_with_the_tables_tiles(name):
    def chosen(*args, block_s=64, **options):
        return flash_decode(*args, **options)

    decode_battery.CHECKS[name](chosen, "cuda")


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("num_splits", [None, 1, 7])
def test_long_texts(dtype, num_splits):
    args = make("cuda", [8000, 1, 4097], 8192, H=32, G=8, D=128, dtype=dtype)
    faithful(lambda *a, block_s, **o: flash_decode(*a, **o), *args, num_splits=num_splits)


@pytest.mark.gpu
def test_a_length_beyond_the_slab_counts_as_the_slab():
    q, k, v, seq_lens = make("cuda", [64, 64], 64, H=4, G=2)
    assert torch.equal(flash_decode(q, k, v, seq_lens + 1000), flash_decode(q, k, v, seq_lens))


@pytest.mark.gpu
def test_lengths_stay_on_the_gpu():
    """A call can be captured in a graph, which no call that reads a length back can be, and follows what they become."""
    q, k, v, seq_lens = make("cuda", [64, 64], 64, H=4, G=2, D=64)
    flash_decode(q, k, v, seq_lens, num_splits=2)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        out = flash_decode(q, k, v, seq_lens, num_splits=2)
    seq_lens.copy_(torch.tensor([10, 33], device="cuda", dtype=torch.int32))
    graph.replay()
    assert torch.equal(out, flash_decode(q, k, v, seq_lens, num_splits=2))
