"""Decoding, paged reads and cache writes on trial: every way of asking gives the same answer, and a wrong one is not timed."""

import itertools
import sys
from types import SimpleNamespace

import pytest
import torch
import trial
from cache_writes import signed_angles
from decode_attention import kept_lengths
from instant_watch import Instant, attempt
from paged_reads import operands as paged_operands
from plan import Case
from trial import GpuWatch, try_case

import minillm as ml
from minillm.model.config import ModelConfig
from minillm.model.layers import rotary_table

SLAB = {"B": 3, "S": 21, "H": 4, "G": 2, "D": 16}
WRITTEN = {"T": 13, "G": 2, "D": 16, "P": 4}
CASES = {
    "decode": Case("flash_decode", SLAB, "float32", ()),
    "decode, uneven": Case("flash_decode", SLAB, "float32", (), {"lengths": "uneven"}),
    "paged decode": Case("paged_decode", SLAB | {"L": 1, "P": 8}, "float32", ()),
    "paged decode, uneven": Case("paged_decode", SLAB | {"L": 1, "P": 8}, "float32", (), {"lengths": "uneven"}),
    "paged decode, int8": Case("paged_decode", SLAB | {"L": 1, "P": 8}, "float32", (), {"cache": "int8"}),
    "paged prefill": Case("paged_prefill", SLAB | {"L": 21, "P": 8}, "float32", ()),
    "paged prefill, last part": Case("paged_prefill", SLAB | {"L": 5, "P": 8}, "float32", ()),
    "kv write": Case("kv_write", WRITTEN, "float32", ()),
    "rotary write": Case("rotary_write", {"H": 4} | WRITTEN, "float32", ()),
}
TORCH = {"decode": ("torch gqa", "torch rows", "torch gqa flash", "torch rows flash")} | {
    "decode, uneven": ("torch gqa", "torch rows"), "kv write": ("torch",), "rotary write": ("torch",),
}  # fmt: skip
OURS = {"decode": ("triton", "triton 1 splits", "triton 3 splits", "triton per head"), "kv write": ("triton",)} | {
    "decode, uneven": ("triton", "triton 2 splits"), "rotary write": ("triton", "triton in two"),
    "paged decode, int8": ("triton", "naive", "sdpa"),
}  # fmt: skip
SHARED = ("triton", "triton contiguous", "naive", "sdpa")
KEYS = {"decode": 63, "decode, uneven": 42, "paged decode": 63, "paged decode, uneven": 42, "paged prefill": 63}
KEYS |= {"paged prefill, last part": 63}


def case_of(name, *contestants):
    case = CASES[name]
    return Case(case.operator, case.shape, case.dtype, contestants, case.options)


def has_kernels(name):
    needed = {"kv write": ("kv_write",), "rotary write": ("rotary_write", "rotary")}.get(name, ())
    return ml.kernels.mode().name != "absent" and all(kernel in dir(ml.kernels) for kernel in needed)


@pytest.mark.parametrize("name", CASES)
def test_torch_answers_right_every_way_it_is_asked(name):
    names = TORCH.get(name, ("torch gather",))
    rows, untimed = attempt(case_of(name, *names))
    assert untimed == {} and set(rows) == set(names)
    assert all(row.rms_error < 1e-5 and row.best_torch in names for row in rows.values())


@pytest.mark.parametrize("name", CASES)
def test_ours_answer_right_every_way_they_are_asked(name, monkeypatch):
    if not has_kernels(name):
        pytest.skip("no Triton, or no such kernel")
    monkeypatch.setattr(trial, "why_not", lambda _: None)
    names = OURS.get(name, SHARED)
    rows, untimed = attempt(case_of(name, *names))
    assert untimed == {} and set(rows) == set(names)
    assert all(row.rms_error < 1e-5 for row in rows.values())


@pytest.mark.parametrize("name", KEYS)
def test_bytes_are_of_kept_keys_read_once(name):
    rows, _ = attempt(case_of(name, *TORCH.get(name, ("torch gather",))[:1]))
    (row,) = rows.values()
    tokens = 3 * CASES[name].shape.get("L", 1)
    assert row.bytes_moved == 4 * 16 * (2 * tokens * 4 + 2 * KEYS[name] * 2)
    assert (row.flops is None) == ("decode" in name)  # one query has bytes to wait for and next to nothing to multiply


def test_what_is_quantised_and_what_is_written_is_priced():
    def bytes_of(name):
        operator = trial.OPERATORS[CASES[name].operator]
        return operator.price(CASES[name], 4)[1]

    assert bytes_of("paged decode, int8") == 4 * 16 * 2 * 3 * 4 + 2 * 63 * 2 * (16 + 4)
    assert bytes_of("kv write") == 4 * 4 * 13 * 2 * 16 + 8 * 13
    # Four texts of at most four tokens: four positions.
    assert bytes_of("rotary write") == 4 * 16 * (2 * 13 * (4 + 4) + 2 * 4) + 16 * 13


def test_blocks_hold_what_the_slab_holds_in_another_order():
    o = paged_operands(CASES["paged decode"], torch.Generator().manual_seed(0))
    assert sorted(o.block_table.flatten().tolist()) == list(range(9)) and o.block_table.flatten().tolist() != list(
        range(9)
    )
    for slab, cache in ((o.k, o.k_cache), (o.v, o.v_cache)):
        assert torch.equal(cache[o.block_table.long()].flatten(1, 2)[:, :21], slab)


def test_uneven_texts_grow_up_to_the_whole_length():
    assert kept_lengths(CASES["decode, uneven"]) == [7, 14, 21] and kept_lengths(CASES["decode"]) == [21] * 3


def test_angles_are_the_models():
    config = ModelConfig(10, 32, 32, 1, 2, 1, 16, family="llama")
    assert all(torch.equal(a, b) for a, b in zip(signed_angles(7, 16), rotary_table(7, config), strict=True))


@pytest.mark.parametrize("name", ["kv write", "rotary write"])
def test_what_another_has_written_does_not_pass_for_ones_own(name, monkeypatch):
    monkeypatch.setattr(trial, "why_not", lambda _: None)
    idle = SimpleNamespace(kv_write=lambda *_: None, rotary_write=lambda q, *_: q)
    monkeypatch.setattr("cache_writes.ml", SimpleNamespace(kernels=idle))
    rows, untimed = attempt(case_of(name, "torch", "triton"))
    assert set(rows) == {"torch"} and untimed["triton"].startswith("WrongAnswer")


@pytest.mark.parametrize("name", ["paged decode", "paged decode, uneven", "paged prefill"])
def test_a_kernel_that_ignores_the_table_is_not_timed(name, monkeypatch):
    monkeypatch.setattr(trial, "why_not", lambda _: None)

    def in_order(q, k_cache, v_cache, table, *rest):
        from minillm.attention.naive_paged import naive_paged_attention

        return naive_paged_attention(q, k_cache, v_cache, torch.arange(9, dtype=torch.int32).view(3, 3), *rest)

    monkeypatch.setattr("paged_reads.ml", SimpleNamespace(kernels=SimpleNamespace(paged_attention=in_order)))
    watch = Instant()
    rows, untimed = attempt(case_of(name, "triton", "torch gather"), watch)
    assert set(rows) == {"torch gather"} and len(watch.prepared) == 1
    assert untimed["triton"].startswith("WrongAnswer")


def varlen(
    q, k, v, ends_q, ends_k, max_q, max_k, *, window_size=(-1, -1), enable_gqa=False, seqused_k=None, block_table=None
):
    """What torch's call means, in words of ours."""
    assert enable_gqa and max_q == q.shape[0] // 3
    outs = []
    for b, (start, stop) in enumerate(itertools.pairwise(ends_q.tolist())):
        if block_table is None:
            keys, values = (x[ends_k[b] : ends_k[b] + seqused_k[b]] for x in (k, v))
        else:
            assert ends_k is None
            keys, values = (x[block_table[b].long()].flatten(0, 1)[: seqused_k[b]] for x in (k, v))
        causal = {(-1, 0): True, (-1, -1): False}[window_size]
        outs.append(ml.attention(q[None, start:stop], keys[None], values[None], causal=causal)[0])
    return torch.cat(outs)


@pytest.mark.parametrize("name", list(KEYS))
def test_torchs_varlen_is_given_slabs_and_tables_as_it_wants_them(name, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch.nn.attention.varlen", SimpleNamespace(varlen_attn=varlen))
    rows, untimed = attempt(case_of(name, "torch varlen"))
    assert untimed == {} and rows["torch varlen"].rms_error < 1e-5


@pytest.mark.parametrize("name", ["decode", "paged decode"])
def test_a_release_whose_varlen_knows_no_table_says_so(name, monkeypatch):
    older = SimpleNamespace(
        varlen_attn=lambda query, key, value, cu_seq_q, cu_seq_k, max_q, max_k, is_causal=False: None
    )
    monkeypatch.setitem(sys.modules, "torch.nn.attention.varlen", older)
    rows, untimed = attempt(case_of(name, "torch varlen"))
    assert rows == {} and "this release's varlen_attn takes no" in untimed["torch varlen"]


def test_flex_attention_is_asked_for_one_query(monkeypatch):
    def plainly(q, k, v, enable_gqa):
        assert enable_gqa and q.shape == (3, 4, 1, 16)
        return ml.attention(*(x.transpose(1, 2) for x in (q, k, v))).transpose(1, 2)

    monkeypatch.setattr(torch, "compile", lambda function, dynamic: plainly)
    rows, untimed = attempt(case_of("decode", "torch flex"))
    assert untimed == {} and rows["torch flex"].rms_error < 1e-5


def test_a_compiled_rotary_write_is_asked_for_the_same(monkeypatch):
    monkeypatch.setattr(torch, "compile", lambda function, dynamic: function)
    rows, untimed = attempt(case_of("rotary write", "torch compiled"))
    assert untimed == {} and rows["torch compiled"].rms_error < 1e-5


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("operator", "shape", "names"),
    [
        (
            "decode",
            {"B": 4, "S": 1024, "H": 8, "G": 2, "D": 64},
            ("triton", "triton 4 splits", "torch gqa", "torch rows"),
        ),
        (
            "paged_decode",
            {"B": 4, "L": 1, "S": 1000, "H": 8, "G": 2, "D": 64, "P": 16},
            ("triton", "triton contiguous", "torch gather"),
        ),
        (
            "paged_prefill",
            {"B": 2, "L": 500, "S": 500, "H": 8, "G": 2, "D": 64, "P": 64},
            ("triton", "triton contiguous", "torch gather"),
        ),
        ("kv_write", {"T": 1000, "G": 2, "D": 64, "P": 16}, ("triton", "torch")),
        ("rotary_write", {"T": 1000, "H": 8, "G": 2, "D": 64, "P": 16}, ("triton", "triton in two", "torch")),
    ],
)
def test_a_gpu_times_them(operator, shape, names):
    rows, untimed = try_case(Case(operator, shape, "bfloat16", names), "cuda", GpuWatch(0.01), seed=5)
    assert {row.backend for row in rows} == set(names), untimed
    assert all(1e-7 < row.p50 < 1e-2 and row.ratio_to_torch for row in rows)
