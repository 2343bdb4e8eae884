"""One wrong line in the decode kernels is seen: each edit of their source below fails the named check."""

import dataclasses
import importlib.util
import inspect
from pathlib import Path

import pytest
import torch
from decode_battery import CHECKS, faithful, make
from kernel_mutants import guarded_outputs, new_memory_holds_nan

import minillm as ml
from minillm.kernels import mode, runtime
from minillm.kernels.decode_tiles import DecodeTiles
from minillm.kernels.runtime import rehearse
from minillm.measure.decode_cost import flash_decode_cost

pytestmark = pytest.mark.skipif(mode().name != "interpreter", reason="edits are tried in the interpreter")
FOLDER = Path(runtime.__file__).parent
DECODE, MERGE = "flash_decode", "merge_splits"


def bytes_as_the_formula(decode, device):
    """No key is read twice and no run works for another: counters that only an honest split gives."""
    args = make(device, [150, 33], 150, H=4, G=2)
    for splits, window in ((1, None), (3, None), (2, 50)):
        with ml.count() as c:
            decode(*args, num_splits=splits, block_s=32, window=window)
        want = flash_decode_cost([150, 33], 4, 2, 32, block_s=32, num_splits=splits, window=window, dtype_bytes=4)
        found, wanted = (c.bytes_loaded, c.bytes_stored), (want.bytes.loaded, want.bytes.stored)
        assert found == wanted, f"splits {splits} window {window}: {found}, want {wanted}"


def bytes_in_half(decode, device):
    """Partials are float32 whatever the input is."""
    args = make(device, [150], 150, H=2, dtype=torch.bfloat16)
    with ml.count() as c:
        decode(*args, num_splits=3, block_s=32)
    want = flash_decode_cost([150], 2, 1, 32, block_s=32, num_splits=3)
    assert (c.bytes_loaded, c.bytes_stored) == (want.bytes.loaded, want.bytes.stored)


def many_runs(decode, device):
    """More runs than a program of the merge holds at once, which are two in this file, and keys that grow."""
    for lengths in ([150, 33], [64, 150]):
        q, k, v, seq_lens = make(device, lengths, 150, H=2)
        k = k * torch.linspace(0.1, 4.0, 150, device=device)[:, None, None]
        faithful(decode, q, k, v, seq_lens, num_splits=9, block_s=16)


def writes_its_own(decode, device):
    """Nothing beside the outputs is written, above the last head and below the first."""
    for splits in (1, 2):
        with guarded_outputs():
            decode(*make(device, [20], 20, H=3), num_splits=splits, block_s=16)


OURS = [bytes_as_the_formula, bytes_in_half, many_runs, writes_its_own]
SEEN_BY = CHECKS | {check.__name__: check for check in OURS}

# What goes wrong: (the file, the line or part of one, what stands there instead, the check that must fail).
FAULTS = {
    "merged without weights": (MERGE, "p = tl.exp(lse - m_safe)", "p = tl.where(saw, 1.0, 0.0)", "split_counts"),
    "merge not rescaled": (MERGE, "acc = acc * alpha + ", "acc = acc + ", "many_runs"),
    "merged sum not rescaled": (MERGE, "l = l * alpha + ", "l = l + ", "many_runs"),
    "merge without a guard": (MERGE, 'tl.where(m_new == -float("inf"), 0.0, m_new)', "m_new", "empty_texts"),
    "merge of runs by rows": (MERGE, "tl.cast(offs_n, tl.int64) * num_rows + row", "row * parts + offs_n", "split_counts"),
    "merge divides by no sum": (MERGE, "l_safe = tl.where(l == 0.0, 1.0, l)", "l_safe = l", "empty_texts"),
    "merge of the first chunk": (MERGE, "range(0, parts, BLOCK_N)", "range(0, BLOCK_N, BLOCK_N)", "many_runs"),
    "empty runs are read": (MERGE, "mask=saw[:, None] & mask_d[None, :]", "mask=(offs_n < parts)[:, None] & mask_d[None, :]", "bytes_as_the_formula"),
    "sink in every run": (DECODE, "mask_h & (split == 0)", "mask_h", "sinks_count_once"),
    "sink in base e": (DECODE, "sink * 1.4426950408889634", "sink", "sinks_count_once"),
    "sink without weight": (DECODE, "l = tl.where(mask_sink, 1.0, 0.0)", "l = l", "sinks_count_once"),
    "sinks of the first group": (DECODE, "sinks_ptr + first_head + offs_h", "sinks_ptr + offs_h", "values"),
    "division by no sum": (DECODE, "l_safe = tl.where(l == 0.0, 1.0, l)", "l_safe = l", "empty_texts"),
    "heads in turn": (DECODE, "first_head * stride_qh\n    q_ptrs = q_rows + tl.cast(offs_h, tl.int64)[:, None] * stride_qh", "g * stride_qh\n    q_ptrs = q_rows + tl.cast(offs_h, tl.int64)[:, None] * (stride_qh * G)", "grouped_heads"),
    "values of the other end": (DECODE, "b * stride_vb + g * stride_vg", "b * stride_vb + (G - 1 - g) * stride_vg", "neighbours_share"),
    "first rows of a tall group": (DECODE, "first_head = g * GROUP + row_tile * BLOCK_H", "first_head = g * GROUP", "fresh_memory"),
    "rows of the next group": (DECODE, "mask_h = offs_h < GROUP", "mask_h = offs_h < 1 + GROUP", "writes_its_own"),
    "tail not masked": (DECODE, "full_end, end, positions, seq_len, window, scale,\n        softcap, True", "full_end, end, positions, seq_len, window, scale,\n        softcap, False", "padding_has_no_weight"),
    "ends with the slab": (DECODE, "seq_len = tl.minimum(tl.load(seq_lens_ptr + b), S)", "seq_len = S", "edges_of_tiles"),
    "length of the first text": (DECODE, "tl.load(seq_lens_ptr + b)", "tl.load(seq_lens_ptr)", "edges_of_tiles"),
    "runs overlap by a tile": (DECODE, "tl.minimum(start + per_split * BLOCK_S,", "tl.minimum(start + (per_split + 1) * BLOCK_S,", "split_counts"),
    "runs rounded down": (DECODE, "per_split = (tiles + num_splits - 1) // num_splits", "per_split = tiles // num_splits", "split_counts"),
    "every run takes all": (DECODE, "split * per_split * BLOCK_S", "0", "split_counts"),
    "never cut": (DECODE, "num_splits = num_splits or", "num_splits = 1 or", "bytes_as_the_formula"),
    "window starts late": (DECODE, "first = tl.maximum(seq_len - window, 0)", "first = tl.maximum(seq_len - window + 1, 0)", "window_counts_keys"),
    "window a tile too wide": (DECODE, "start = first // BLOCK_S * BLOCK_S", "start = tl.maximum(first // BLOCK_S - 1, 0) * BLOCK_S", "bytes_as_the_formula"),
    "window's edge not masked": (DECODE, "(first + BLOCK_S - 1) // BLOCK_S * BLOCK_S, start)", "first // BLOCK_S * BLOCK_S, start)", "window_counts_keys"),
    "query behind the last key": (DECODE, "tl.int32) + seq_len - 1", "tl.int32) + seq_len", "window_counts_keys"),
    "query at the slab's end": (DECODE, "tl.int32) + seq_len - 1", "tl.int32) + S - 1", "window_counts_keys"),
    "scaled twice": (DECODE, "score_unit(scale, softcap)", "score_unit(scale * scale, softcap)", "values"),
    "exp2 of natural scores": (DECODE, "score_unit(scale, softcap)", "score_unit(scale, softcap) / LOG2_E", "values"),
    "lse in base 2": (DECODE, " * 0.6931471805599453", "", "values"),
    "values by the keys' strides": (DECODE, "b * stride_vb + g * stride_vg", "b * stride_kb + g * stride_kg", "strided_views"),
    "key head of the query head": (DECODE, "k_ptr += b * stride_kb + g * stride_kg", "k_ptr += b * stride_kb", "grouped_heads"),
    "partials rounded": (DECODE, "outs = torch.empty((num_splits, B, H, D), dtype=torch.float32", "outs = torch.empty((num_splits, B, H, D), dtype=q.dtype", "bytes_in_half"),
    "partials of another text": (DECODE, "(tl.cast(split, tl.int64) * B + b)", "(tl.cast(split, tl.int64) * B + B - 1 - b)", "edges_of_tiles"),
    "negative scale not folded": (DECODE, "    q, scale = fold_scale(q, scale)\n", "    scale = fold_scale(q, scale)[1]\n", "values"),
}  # fmt: skip


def edited(file, old, new, folder, monkeypatch):
    """flash_decode with one edit, in its own file or in the merge's."""
    source = (FOLDER / f"{file}.py").read_text()
    assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {file}; bring this test up to date"
    path = folder / f"edited_{file}.py"
    path.write_text(source.replace(old, new))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if file == DECODE:
        return module
    whole = importlib.import_module("minillm.kernels.flash_decode")
    monkeypatch.setattr(whole, file, getattr(module, file))
    monkeypatch.setattr(module, "TILE", 64)  # two parts of 32 numbers
    return whole


def asked(module):
    return lambda *args, block_s, **options: module.flash_decode(*args, tiles=DecodeTiles(block_s), **options)


@pytest.mark.filterwarnings("ignore")  # NumPy's, of NaN
@pytest.mark.parametrize("fault", FAULTS)
def test_one_wrong_line_is_seen(fault, tmp_path, monkeypatch):
    file, old, new, check = FAULTS[fault]
    module = edited(file, old, new, tmp_path, monkeypatch)
    with pytest.raises(AssertionError), new_memory_holds_nan():
        SEEN_BY[check](asked(module), "cpu")


@pytest.mark.parametrize("check", OURS)
def test_the_right_lines_pass(check, monkeypatch):
    merge = importlib.import_module("minillm.kernels.merge_splits")
    monkeypatch.setattr(merge, "TILE", 64)
    check(asked(importlib.import_module("minillm.kernels.flash_decode")), "cpu")


@pytest.fixture
def overflow_raises(monkeypatch):
    """The interpreter's debug mode: an integer product that 32 bits cannot hold is an error."""
    from triton.runtime.interpreter import interpreter_builder

    monkeypatch.setattr(interpreter_builder, "options", dataclasses.replace(interpreter_builder.options, debug=True))


def run_far_apart(module, length):
    """Run the kernel as if texts, rows and heads lay 2**30 elements apart: every address is computed, none followed.

    With one kept key it is the first program's only, whose text and head begin at 0.
    """
    far = torch.empty_strided((3, 130, 4, 16), (2**30, 2**30, 2**30, 1), device="meta")
    lengths = torch.empty(3, dtype=torch.int32, device="meta")
    with rehearse("interpreter") as launches:
        module.flash_decode(far[:, 0], far, far, lengths, num_splits=1)
    (launch,) = launches
    args = [torch.zeros(4096, dtype=x.dtype) if isinstance(x, torch.Tensor) else x for x in launch.args]
    names = list(inspect.signature(launch.kernel.fn).parameters)
    args[names.index("seq_lens_ptr")] += length
    if not length:  # no query is read either: its rows lie as far apart
        launch.constants["GROUP"] = 0
    launch.kernel[(1,) if length else launch.grid](*args, **launch.constants)


@pytest.mark.parametrize("length", [0, 1])
def test_offsets_past_two_to_the_31st(overflow_raises, length):
    run_far_apart(importlib.import_module("minillm.kernels.flash_decode"), length)


@pytest.mark.parametrize(
    ("old", "new", "length"),
    [
        ("b, g = tl.cast(bg // G, tl.int64), tl.cast(bg % G, tl.int64)", "b, g = bg // G, bg % G", 0),
        ("stride_ks, stride_vs = tl.cast(stride_ks, tl.int64), tl.cast(stride_vs, tl.int64)\n", "pass\n", 1),
    ],
    ids=["heads and texts", "steps of the loop"],
)
def test_a_missing_cast_is_seen(overflow_raises, old, new, length, tmp_path, monkeypatch):
    with pytest.raises(Exception, match="int32 overflow detected"):
        run_far_apart(edited(DECODE, old, new, tmp_path, monkeypatch), length)
