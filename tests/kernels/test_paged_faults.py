"""One wrong line in the paged kernel is seen: each edit of its source below fails the named check."""

import importlib
import importlib.util
from pathlib import Path

import paged_cases
import pytest
import torch
from kernel_mutants import narrow_offsets_refused, new_memory_holds_nan
from paged_battery import CHECKS, faithful
from paged_cases import make_case, quantize

import minillm as ml
from minillm.kernels import mode, runtime
from minillm.kernels.attention_tiles import Tiles
from minillm.measure.paged_cost import paged_attention_cost

pytestmark = pytest.mark.skipif(mode().name != "interpreter", reason="edits are tried in the interpreter")
SOURCE = Path(runtime.__file__).with_name("paged_attention.py").read_text()


def bytes_as_the_formula(attention, device):
    """No entry of the table is read that no key needs, no key that no query of the tile sees."""
    for texts, splits, window in ((((1, 150), (1, 33)), 3, None), (((1, 40), (11, 70)), 1, 30)):
        case = make_case(texts, H=4, G=2, device=device)
        with ml.count() as c:
            attention(*case.call, num_splits=splits, block_l=16, block_s=32, window=window)
        sizes = {"block_size": 16, "block_l": 16, "block_s": 32, "dtype_bytes": 4}
        want = paged_attention_cost(texts, 4, 2, 32, num_splits=splits, window=window, **sizes)
        assert (c.bytes_loaded, c.bytes_stored) == (want.bytes.loaded, want.bytes.stored), f"{texts}"


SEEN_BY = CHECKS | {"bytes_as_the_formula": bytes_as_the_formula}

# What goes wrong: (the line, or part of one; what stands there instead; the check that must fail).
FAULTS = {
    "tail not masked": ("G, full_end, last, limit, positions, window, scale, softcap,\n        True", "G, full_end, last, limit, positions, window, scale, softcap,\n        False", "padding_has_no_weight"),
    "last partial tile skipped": ("last = tl.minimum(first + per_split * BLOCK_S, end)", "last = tl.minimum(first + per_split * BLOCK_S, end // BLOCK_S * BLOCK_S)", "edges_of_tiles"),
    "row of the text before": ("table_ptr += b * stride_tb", "table_ptr += tl.maximum(b - 1, 0) * stride_tb", "edges_of_tiles"),
    "length of another text": ("S = tl.load(seq_lens_ptr + b)", "S = tl.load(seq_lens_ptr + B - 1 - b)", "edges_of_tiles"),
    "every tile from its block's first slot": ("slots = s_tile % P + tile_s", "slots = tile_s", "block_sizes"),
    "every key in the tile's first block": ("tl.load(table_ptr + offs_s // P)", "tl.load(table_ptr + (offs_s - tile_s) // P)", "block_sizes"),
    "slots do not start anew": ("slots = offs_s % P\n", "slots = tile_s % P\n", "block_sizes"),
    "entries behind the last key are read": ("tl.load(table_ptr + offs_s // P, mask=mask_s, other=0)", "tl.load(table_ptr + offs_s // P)", "bytes_as_the_formula"),
    "keys behind the last query are read": ("limit = last", "limit = S", "bytes_as_the_formula"),
    "values by the keys' strides": ("v_ptr + first_v + slots * stride_vp", "v_ptr + first_v + slots * stride_kp", "strided_caches"),
    "top left": ("positions = offs_l + S - L", "positions = offs_l", "bottom_right"),
    "strict causal": ("<= positions[:, None]", "< positions[:, None]", "bottom_right"),
    "diagonal not masked": ("visible = mask_s[None, :] & (offs_s[None, :] <= positions[:, None])", "visible = mask_s[None, :] & (positions[:, None] >= 0)", "bottom_right"),
    "search ends one early": ("return low - 1", "return tl.maximum(low - 2, 0)", "runs_of_queries"),
    "search forgets the tiles cut short": ("// BLOCK_Q + middle <= tile", "// BLOCK_Q <= tile", "runs_of_queries"),
    "search is strict": ("+ middle <= tile", "+ middle < tl.maximum(tile, 1)", "runs_of_queries"),
    "one tile a text": ("q_tile = q_tiles - 1 - (tile - (row_q // BLOCK_Q + b))", "q_tile = -(tile - (row_q // BLOCK_Q + b))", "runs_of_queries"),
    "too few programs": ("B if decode else T // block_q + B", "B if decode else T // block_q", "runs_of_queries"),
    "a row of the tile too many": ("(offs_m < BLOCK_Q * GROUP) & (offs_l < L)", "(offs_l < L)", "values"),
    "heads in turn": ("heads = g * GROUP + offs_m % GROUP", "heads = (offs_m % GROUP) * G + g", "neighbours_share"),
    "tokens in turn": ("offs_l = q_tile * BLOCK_Q + offs_m // GROUP", "offs_l = q_tile * BLOCK_Q + offs_m % BLOCK_Q", "grouped_heads"),
    "key head of no group": ("k_ptr += g * stride_kg", "k_ptr += 0 * stride_kg", "grouped_heads"),
    "scales of the keys on values": ("load_row(v_scale_ptr + first_scale", "load_row(k_scale_ptr + first_scale", "quantized_cache"),
    "scales of the first head": ("        v_scale_ptr += g\n", "", "quantized_cache"),
    "a scale a block": ("load_row(k_scale_ptr + first_scale + slots * G", "load_row(k_scale_ptr + first_scale + slots * 0", "quantized_cache"),
    "keys not scaled": ("s *= load_row(", "s += 0 * load_row(", "quantized_cache"),
    "factor of 64 left in": ("acc *= 0.015625", "acc *= 1.0", "quantized_cache"),
    "values scaled after the sum": ("        l = l * alpha + tl.sum(p, 1)\n", "        if not QUANTIZED:\n            l = l * alpha + tl.sum(p, 1)\n", "quantized_cache"),
    "sink in every run": ("mask_m & (split == 0)", "mask_m", "sinks_count_once"),
    "sink in base e": (".to(tl.float32) * 1.4426950408889634", ".to(tl.float32)", "sinks_count_once"),
    "sinks of the first group": ("sinks_ptr + heads", "sinks_ptr + offs_m % GROUP", "values"),
    "window one too wide": ("> positions[:, None] - window", ">= positions[:, None] - window", "window_counts_keys"),
    "window's edge not masked": ("G, first, full_start, limit, positions, window, scale, softcap,\n            True", "G, first, full_start, limit, positions, window, scale, softcap,\n            False", "window_counts_keys"),
    "runs overlap by a tile": ("first + per_split * BLOCK_S, end", "first + (per_split + 1) * BLOCK_S, end", "split_counts"),
    "runs rounded down": ("per_split = (tiles + num_splits - 1) // num_splits", "per_split = tiles // num_splits", "split_counts"),
    "every run takes all": ("first = start + split * per_split * BLOCK_S", "first = start", "split_counts"),
    "runs merged as of one token": ("(tl.cast(split, tl.int64) * T + row_q + offs_l)", "(tl.cast(split, tl.int64) * T + row_q)", "split_counts"),
    "output not rescaled": ("acc = acc * alpha[:, None]", "acc = acc", "rising_keys"),
    "sum not rescaled": ("l = l * alpha + tl.sum(p, 1)", "l = l + tl.sum(p, 1)", "rising_keys"),
    "no guard of -inf": ('tl.where(m_new == -float("inf"), 0.0, m_new)', "m_new", "window_counts_keys"),
    "accumulates in half": ("        m = m_new\n", "        acc = acc.to(v.dtype).to(tl.float32)\n        m = m_new\n", "half_precision"),
    "lse in base 2": (" * 0.6931471805599453", "", "edges_of_tiles"),
    "cap not undone in the exponent": ("unit = 1.0", "unit = scale", "values"),
    "negative scale not folded": ("    q, scale = fold_scale(q, scale)\n", "    scale = fold_scale(q, scale)[1]\n", "values"),
}  # fmt: skip


def edited(old, new, folder, text=SOURCE):
    """The kernel's module with one edit."""
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in the kernel; bring this test up to date"
    path = folder / "edited_paged_attention.py"
    path.write_text(text.replace(old, new))
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def asked(module):
    return lambda *args, block_l, block_s, **options: module.paged_attention(
        *args, tiles=Tiles(block_l, block_s), **options
    )


@pytest.fixture(autouse=True)
def nothing_leads_nowhere(monkeypatch):
    """A fault may follow an entry that no token needs: it finds a block full of NaN, and not the end of this process."""
    monkeypatch.setattr(paged_cases, "PADDING", None)


@pytest.mark.filterwarnings("ignore")  # NumPy's, of NaN
@pytest.mark.parametrize("fault", FAULTS)
def test_one_wrong_line_is_seen(fault, tmp_path):
    old, new, check = FAULTS[fault]
    with pytest.raises(AssertionError), new_memory_holds_nan():
        SEEN_BY[check](asked(edited(old, new, tmp_path)), "cpu")


def test_the_right_lines_read_what_they_need():
    bytes_as_the_formula(asked(importlib.import_module("minillm.kernels.paged_attention")), "cpu")


def far_apart(attention, axis, P):
    """Blocks, or the slots of a block, that lie 2**30 numbers apart: in 2 GiB of which hardly a page is ever touched."""
    case, scales = quantize(make_case(((1, 20), (3, 9)), P=P, H=1, D=16), torch.int8)
    strides = [P * 16, 16, 16, 1]
    strides[axis] = 2**30
    caches = {}
    for name in ("k_cache", "v_cache"):
        numbers = getattr(case, name)
        reach = sum((size - 1) * stride for size, stride in zip(numbers.shape, strides, strict=True))
        far = torch.empty(reach + 1, dtype=torch.int8).as_strided(numbers.shape, strides)
        for b, (_, S) in enumerate(case.texts):
            ids, slots = case.block_table[b][torch.arange(S) // P].long(), torch.arange(S) % P
            far[ids, slots] = numbers[ids, slots]
        caches[name] = far
    case = case.but(**caches)
    assert case.block_table[case.block_table < len(numbers)].max() >= 2
    with narrow_offsets_refused():
        faithful(attention, case, where="far apart", block_s=16, **scales)


FAR = [(0, 16), (0, 8), (1, 3)]


@pytest.mark.parametrize(("axis", "P"), FAR, ids=["blocks, one a tile", "blocks, many a tile", "slots"])
def test_offsets_past_two_to_the_31st(axis, P):
    far_apart(asked(importlib.import_module("minillm.kernels.paged_attention")), axis, P)


STRIDES = {
    "keys": "    stride_kn, stride_kp = tl.cast(stride_kn, tl.int64), tl.cast(stride_kp, tl.int64)\n",
    "values": "    stride_vn, stride_vp = tl.cast(stride_vn, tl.int64), tl.cast(stride_vp, tl.int64)\n",
}
# One wide factor makes a product wide, so the ids of blocks are seen where their stride is narrow too.
CASTS = {
    "one block a tile": (("tl.cast(tl.load(table_ptr + s_tile // P), tl.int64)", "tl.load(table_ptr + s_tile // P)"), FAR[0]),
    "many blocks a tile": (("            blocks = tl.cast(blocks, tl.int64)\n", ""), FAR[1]),
    "slots of keys": ((STRIDES["keys"], ""), FAR[2]),
    "slots of values": ((STRIDES["values"], ""), FAR[2]),
}  # fmt: skip


@pytest.mark.parametrize("name", CASTS)
def test_a_missing_cast_is_seen(name, tmp_path):
    edit, far = CASTS[name]
    text = SOURCE.replace(STRIDES["keys"], "") if "block" in name else SOURCE
    with pytest.raises(Exception, match="int32 overflow detected"):
        far_apart(asked(edited(*edit, tmp_path, text)), *far)
