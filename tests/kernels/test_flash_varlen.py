"""Packed sequences: each as the dense kernel would see it alone, to the bit, and every malformed packing refused."""

import math
from dataclasses import replace
from itertools import accumulate

import numpy as np
import pytest
import torch
from attention_cases import packed, padded
from flash_battery import DTYPES, SMALL, faithful, make

import minillm as ml
from minillm.errors import InvalidType, InvalidValue, Unsupported
from minillm.kernels import flash_attention, flash_attention_varlen, mode
from minillm.kernels.attention_tiles import Tiles
from minillm.kernels.runtime import allow_tile_steps, rehearse

pytestmark = pytest.mark.skipif(mode().name == "absent", reason="Triton is not installed")
interpreted = pytest.mark.skipif(mode().name != "interpreter", reason="asks the interpreter")

DEVICE = "cuda" if mode().name == "gpu" else "cpu"
MIXED = ((70, 70), (1, 90), (0, 5), (33, 7), (5, 0), (0, 0), (40, 66))
FULL = ((2048, 2048), (1, 4000), (0, 5), (333, 70), (5, 0), (0, 0), (1000, 3001), (1, 1))
PLANS = [
    {},
    {"causal": True},
    {"causal": True, "window": 33},
    {"window": 20, "scale": -0.3},
    {"causal": True, "softcap": 2.0, "sinks": True},
]


def pack(lengths, H=2, G=1, D=32, dtype=torch.float32, device=DEVICE):
    """q (T, H, D), k, v (T_k, G, D), both cu_seqlens, and the two longest lengths, of sequences (L, S)."""
    sides = list(zip(*lengths, strict=True))
    q, k, v = (x[0] for x in make(replace(SMALL, device=device), *map(sum, sides), H, G, D, dtype=dtype))
    ends = [torch.tensor([0, *accumulate(side)], dtype=torch.int32, device=device) for side in sides]
    return q, k, v, *ends, *map(max, sides)


def each(q, k, v, ends_q, ends_k, *_):
    """(rows of q, dense q, k, v) of every sequence."""
    ends_q, ends_k = ends_q.tolist(), ends_k.tolist()
    for b in range(len(ends_q) - 1):
        rows, keys = slice(ends_q[b], ends_q[b + 1]), slice(ends_k[b], ends_k[b + 1])
        yield rows, q[None, rows], k[None, keys], v[None, keys]


def assert_sequences_stand_alone(lengths, plan, **sizes):
    call = pack(lengths, **sizes)
    q = call[0]
    options = {**plan, "sinks": torch.tensor([0.5, -1.0], device=q.device)} if plan.get("sinks") else plan
    out, lse = flash_attention_varlen(*call, return_lse=True, **options)
    assert out.shape == q.shape and out.dtype == q.dtype and lse.shape == (q.shape[1], q.shape[0])
    for rows, *dense in each(*call):
        want, want_lse = flash_attention(*dense, return_lse=True, **options)
        assert torch.equal(out[rows], want[0]), f"{rows}: out differs from the dense kernel's"
        assert torch.equal(lse[:, rows], want_lse[0]), f"{rows}: lse differs from the dense kernel's"


@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_each_sequence_is_the_dense_kernels_to_the_bit(plan):
    assert_sequences_stand_alone(MIXED, plan)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize(("H", "G"), [(4, 1), (5, 5), (6, 3)])
def test_heads_and_dtypes(dtype, H, G):
    assert_sequences_stand_alone(((7, 9), (3, 3)), {"causal": True}, H=H, G=G, D=80, dtype=dtype)


def assert_sequences_are_faithful(lengths, plan, **sizes):
    call = pack(lengths, **sizes)
    options = {**plan, "sinks": torch.tensor([0.5, -1.0], device=call[0].device)} if plan.get("sinks") else plan
    out, lse = flash_attention_varlen(*call, return_lse=True, **options)
    for rows, *dense in each(*call):
        faithful(lambda *_, rows=rows, **__: (out[None, rows], lse[None, :, rows]), *dense, **options)


@pytest.mark.parametrize("plan", [{}, {"causal": True, "sinks": True}], ids=str)
def test_each_sequence_agrees_with_the_oracle(plan):
    assert_sequences_are_faithful(MIXED, plan)


@pytest.mark.gpu
@pytest.mark.parametrize(
    ("D", "dtype"),
    [(64, torch.float16), (80, torch.bfloat16), (128, torch.bfloat16), (128, torch.float32), (256, torch.float16)],
    ids=str,
)
@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_each_sequence_agrees_with_the_oracle_at_full_size(plan, dtype, D):
    assert_sequences_are_faithful(FULL, plan, D=D, dtype=dtype, device="cuda")


def test_lengths_may_be_longer_than_the_longest():
    q, k, v, ends_q, ends_k, longest_q, longest_k = call = pack(((40, 50), (70, 70)))
    got = flash_attention_varlen(q, k, v, ends_q, ends_k, longest_q + 90, longest_k + 900, causal=True, window=20)
    assert torch.equal(got, flash_attention_varlen(*call, causal=True, window=20))


@pytest.mark.filterwarnings("ignore")  # NumPy's, of NaN
def test_neighbours_do_not_matter():
    """A sequence gives the same bits alone, first, last, and beside a neighbour that is all NaN."""
    q, k, v, *rest = pack(((40, 50), (70, 70), (9, 9)))
    want = flash_attention_varlen(q, k, v, *rest, causal=True)
    for x, (start, end) in ((q, (40, 110)), (k, (50, 120)), (v, (50, 120))):
        x[start:end] = math.nan
    got = flash_attention_varlen(q, k, v, *rest, causal=True)
    assert torch.equal(got[:40], want[:40]) and torch.equal(got[110:], want[110:])
    assert got[40:110].isnan().all()


def test_views_of_packed_and_padded_memory():
    q, k, v, *rest = pack(((20, 30), (33, 70)))
    want = flash_attention_varlen(q, k, v, *rest)
    got = flash_attention_varlen(packed(q[None])[0], padded(k[None])[0], packed(v[None])[0], *rest)
    assert torch.equal(got, want)


def test_every_output_is_written(monkeypatch):
    call = pack(MIXED)
    real = torch.empty
    monkeypatch.setattr(torch, "empty", lambda *shape, **kinds: real(*shape, **kinds).fill_(math.nan))
    out, lse = flash_attention_varlen(*call, causal=True, return_lse=True)
    assert not out.isnan().any() and not lse.isnan().any()


def test_nothing_at_all():
    for lengths in (((0, 0),), ((0, 4), (0, 3))):
        out, lse = flash_attention_varlen(*pack(lengths), return_lse=True)
        assert out.shape == (0, 2, 32) and lse.shape == (2, 0)
    none = torch.zeros(1, dtype=torch.int32, device=DEVICE)
    q, k, v, *_ = pack(((0, 0),))
    assert flash_attention_varlen(q, k, v, none, none, 0, 0).shape == (0, 2, 32)


@interpreted
def test_counters_are_the_dense_kernels_and_the_offsets():
    call = pack(MIXED)
    flash_attention_varlen(*call)
    tiles = Tiles(32, 64)
    with ml.count() as c:
        flash_attention_varlen(*call, causal=True, tiles=tiles)
    with ml.count() as fresh:
        flash_attention_varlen(*call[:3], call[3].clone(), call[4].clone(), *call[5:], causal=True, tiles=tiles)
    with ml.count() as dense:
        for _, q, k, v in each(*call):
            flash_attention(q, k, v, causal=True, tiles=tiles)
    blocks = sum(-(-L // 32) for L, _ in MIXED)
    programs = -(-70 // 32) * len(MIXED)
    offsets = (
        2 * (programs + blocks) * 2 * 4
    )  # two heads; two offsets of queries a program, of keys where there is work
    assert (c.flops, c.bytes_stored) == (dense.flops, dense.bytes_stored)
    assert c.bytes_loaded == dense.bytes_loaded + offsets
    clones = 2 * 2 * 8 * 4  # call[3] and call[4], each read and written
    assert fresh.bytes_moved == c.bytes_moved + clones


@pytest.mark.skipif(DEVICE != "cpu", reason="NumPy shares the CPU's memory only")
def test_offsets_that_numpy_changes_are_read_again():
    """Shared memory changes without a word to torch, and a kernel that trusts the old offsets reads past the tokens."""
    shared = np.array([0, 8, 12], dtype=np.int32)
    q, k, v, *_ = pack(((8, 8), (4, 4)))
    ends = torch.from_numpy(shared)
    flash_attention_varlen(q, k, v, ends, ends, 8, 8)
    shared[2] = 5000
    with pytest.raises(InvalidValue, match="got an end at 5000 for 12 tokens"):
        flash_attention_varlen(q, k, v, ends, ends, 5000, 5000)


def test_a_longest_beyond_all_tokens_starts_no_idle_programs():
    call = pack(((8, 8), (4, 4)))
    with rehearse("sm_90") as launches:
        flash_attention_varlen(*call[:5], 2**40, 2**40, window=2**40)
    assert launches[0].grid == (1 * 2 * 2,)


@pytest.mark.gpu
def test_offsets_are_read_once_and_again_when_they_change(monkeypatch):
    q, k, v, ends_q, ends_k, *longest = pack(((8, 8), (4, 4)))
    reads = []
    real = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, "tolist", lambda x: reads.append(x) or real(x))
    for _ in range(3):
        flash_attention_varlen(q, k, v, ends_q, ends_k, *longest)
    assert len(reads) == 2
    ends_k[1] = 9
    with pytest.raises(
        InvalidValue, match="max_seqlen_k must be at least the longest sequence; got 8 for a sequence of 9"
    ):
        flash_attention_varlen(q, k, v, ends_q, ends_k, *longest)
    assert len(reads) == 3
    with torch.inference_mode():
        flash_attention_varlen(q, k, v, ends_q.clone(), ends_k.clone(), 8, 9)  # has no version, so it is read each time


def offsets(*ends, dtype=torch.int32):
    return torch.tensor(ends, dtype=dtype, device=DEVICE)


BAD = {
    "not from 0": ({3: offsets(1, 8, 12)}, InvalidValue, "cu_seqlens_q must start at 0; got 1; put a 0"),
    "not ascending": ({4: offsets(0, 13, 12)}, InvalidValue, "cu_seqlens_k must ascend; got 13 and then 12 at 2"),
    "short of T": ({3: offsets(0, 8, 11)}, InvalidValue, "cu_seqlens_q must end at the last token; got an end at 11 for 12"),
    "past T": ({4: offsets(0, 8, 13)}, InvalidValue, "cu_seqlens_k must end at the last token; got an end at 13 for 12"),
    "too short a longest": ({5: 7}, InvalidValue, "max_seqlen_q must be at least the longest sequence; got 7 .* 8 tokens; pass 8"),
    "int64 offsets": ({3: offsets(0, 8, 12, dtype=torch.int64)}, InvalidType, "int32 tensor .* got torch.int64"),
    "a list of offsets": ({3: [0, 8, 12]}, InvalidType, "cu_seqlens_q must be an int32 tensor .* got list"),
    "offsets in a row": ({3: offsets(0, 8, 12)[None]}, InvalidValue, r"shape \(B \+ 1,\); got \(1, 3\)"),
    "no offsets": ({3: offsets()}, InvalidValue, r"shape \(B \+ 1,\); got \(0,\)"),
    "other sequences": ({4: offsets(0, 4, 8, 12)}, InvalidValue, "same sequences; got 2 and 3 sequences"),
    "offsets elsewhere": ({3: torch.empty(3, dtype=torch.int32, device="meta")}, InvalidValue, "where the tokens are; got meta"),
    "a longest of None": ({5: None}, InvalidType, "max_seqlen_q must be a whole number of tokens; got NoneType None"),
    "a longest of True": ({6: True}, InvalidType, "max_seqlen_k must be a whole number"),
    "a negative longest": ({6: -1}, InvalidValue, "max_seqlen_k must not be negative; got -1"),
    "a batch": ({0: torch.zeros(1, 12, 2, 32, device=DEVICE)}, InvalidValue, r"q must have 3 dimensions .* got 4: .*flatten"),
    "no tensor": ({1: [1.0]}, InvalidType, r"k must be a torch tensor \(T_k, G, D\); got list"),
    "float64": (dict.fromkeys((0, 1, 2), torch.zeros(12, 2, 32, device=DEVICE).double()), Unsupported, "got torch.float64; use backend"),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_a_bad_packing_is_refused(case):
    change, error, text = BAD[case]
    call = [change.get(i, x) for i, x in enumerate(pack(((8, 8), (4, 4))))]
    with pytest.raises(error, match=text):
        flash_attention_varlen(*call)


def test_gradients_are_refused_by_name():
    q, k, v, *rest = pack(((8, 8),))
    with pytest.raises(Unsupported, match=r"no backward pass.*got k with requires_grad=True; use flash_attention,"):
        flash_attention_varlen(q, k.requires_grad_(), v, *rest)
    with torch.no_grad():
        flash_attention_varlen(q, k, v, *rest)


@interpreted
def test_endless_interpretation_is_refused_with_what_would_fit():
    call = pack(((70, 70), (64, 64), (5, 5)))
    with (
        allow_tile_steps(10),
        pytest.raises(InvalidValue, match=r"got 12; use the first 2 sequences, or backend=.* one sequence a call"),
    ):
        flash_attention_varlen(*call)
    with allow_tile_steps(3), pytest.raises(InvalidValue, match="got 12; use B = 1, L = 35, S = 35, H = 1"):
        flash_attention_varlen(*call)
    fits = pack(((70, 70), (64, 64)))
    with allow_tile_steps(10):
        flash_attention_varlen(*fits)


def test_it_can_be_rehearsed_for_a_gpu_that_nobody_has():
    q, k, v, *ends = (x.to("meta") if isinstance(x, torch.Tensor) else x for x in pack(((8, 8), (4, 4)), device="cpu"))
    with rehearse("sm_90") as launches:
        out, lse = flash_attention_varlen(q, k, v, *ends, return_lse=True)
    assert out.shape == q.shape and lse.shape == (2, 12)
    assert len(launches) == 1 and launches[0].constants["PRECISION"] == "tf32x3"
