"""Counters against arithmetic done by hand: every expected number below can be checked with a pencil."""

import gc
import subprocess
import sys
import threading

import pytest
import torch
import torch.nn.functional as F
from torch import nn

import minillm as ml
from minillm.measure.counters import charge
from minillm.serving.compute.packed_linear import LAYOUTS, runs

A = torch.arange(12.0).reshape(3, 4)  # 48 bytes
B = torch.ones(4, 5)  # 80 bytes


def counted(call):
    """(loaded, stored, FLOPs, peak) of one call whose result is dropped inside the count."""
    with ml.count() as c:
        call()
    return c.bytes_loaded, c.bytes_stored, c.flops, c.peak_bytes


ROWS = torch.tensor([0, 2])  # 16 bytes

BY_HAND = {
    "add": (lambda: A + A.clone(), (48 + 48 + 48, 48 + 48, 0, 96)),
    "add to itself reads once": (lambda: A + A, (48, 48, 0, 48)),
    "multiply by its transpose reads once": (lambda: A[:, :3] @ A[:, :3].t(), (36, 36, 2 * 27, 36)),
    "multiply by another shape of itself": (lambda: A @ A.view(4, 3), (48, 36, 2 * 3 * 4 * 3, 36)),
    "peak outlives what made it": (lambda: [torch.empty(n).shape for n in (100, 10)], (0, 0, 0, 400)),
    "scalar operand": (lambda: A * 2, (48, 48, 0, 48)),
    "broadcast row": (lambda: A + A[0], (48 + 16, 48, 0, 48)),
    "comparison gives bytes": (lambda: A > 3, (48, 12, 0, 12)),
    "matmul": (lambda: A @ B, (128, 60, 2 * 3 * 4 * 5, 60)),
    "addmm": (lambda: torch.addmm(B[0], A, B), (20 + 128, 60, 120, 60)),
    "matmul out": (lambda: torch.mm(A, B, out=torch.empty(3, 5)), (128, 60, 120, 60)),
    "linear without bias": (lambda: F.linear(A, B.t()), (128, 60, 120, 60)),
    "matrix vector": (lambda: B.t() @ A[0], (80 + 16, 20, 40, 20)),
    "dot": (lambda: A[0].dot(A[1]), (32, 4, 8, 4)),
    "batched": (lambda: A[None] @ B[None], (128, 60, 120, 60)),
    "baddbmm": (lambda: torch.baddbmm(B[None, :1, :1], A[None], B[None]), (4 + 128, 60, 120, 60)),
    "matrix vector added": (lambda: torch.addmv(B[:3, 0], A, B[:, 1]), (12 + 48 + 16, 12, 24, 12)),
    "softmax": (lambda: A.softmax(-1), (48, 48, 0, 48)),
    "sum": (lambda: A.sum(), (48, 4, 0, 4)),
    "views": (lambda: A.view(4, 3).t()[1:].unsqueeze(0).expand(9, 2, 4).unbind(0), (0, 0, 0, 0)),
    "slice then read": (lambda: A[1:, :2].neg(), (16, 16, 0, 16)),
    "expanded": (lambda: A[:1].expand(1000, 4).sum(), (16, 4, 0, 4)),
    "expanded beside its source": (lambda: A[:1].expand(3, 4) + A[:1], (16, 48, 0, 48)),
    "sliding windows": (lambda: A.view(-1).unfold(0, 4, 1).sum(), (48, 4, 0, 4)),
    "reshape that copies": (lambda: A.t().reshape(-1), (48, 48, 0, 48)),
    "reshape that does not": (lambda: A.reshape(2, 6), (0, 0, 0, 0)),
    "contiguous already": (lambda: A.contiguous(), (0, 0, 0, 0)),
    "clone": (lambda: A.clone(), (48, 48, 0, 48)),
    "widen": (lambda: A.to(torch.float64), (48, 96, 0, 96)),
    "narrow": (lambda: A.to(torch.bfloat16), (48, 24, 0, 24)),
    "same dtype": (lambda: A.to(torch.float32), (0, 0, 0, 0)),
    "zeros": (lambda: torch.zeros(3, 4), (0, 48, 0, 48)),
    "zeros_like": (lambda: torch.zeros_like(A), (0, 48, 0, 48)),
    "new_full": (lambda: A.new_full((2, 2), 1.0), (0, 16, 0, 16)),
    "empty": (lambda: torch.empty(3, 4), (0, 0, 0, 48)),
    "empty_like": (lambda: torch.empty_like(A), (0, 0, 0, 48)),
    "literal": (lambda: torch.tensor([1.0, 2.0]), (0, 8, 0, 8)),
    "randn": (lambda: torch.randn(3, 4), (0, 48, 0, 48)),
    "arange": (lambda: torch.arange(5), (0, 40, 0, 40)),
    "cat": (lambda: torch.cat([A, A[:1]]), (48 + 16, 64, 0, 64)),
    "stack": (lambda: torch.stack([A[0], A[1]]), (32, 32, 0, 32)),
    "where": (lambda: torch.where(A > 3, A, A), (48 + 12 + 48, 12 + 48, 0, 60)),
    "item": (lambda: A[0, 0].item(), (4, 0, 0, 0)),
    "equal": (lambda: torch.equal(A, A.clone()), (48 + 96, 48, 0, 48)),
    "metadata": (lambda: (A.shape, A.is_contiguous(), A.numel(), A.dtype, len(A)), (0, 0, 0, 0)),
    "rows by index": (lambda: A[ROWS], (16 + 32, 32, 0, 32)),
    "index_select": (lambda: A.index_select(0, ROWS), (16 + 32, 32, 0, 32)),
    "embedding reads its rows only": (lambda: F.embedding(ROWS, A), (16 + 32, 32, 0, 32)),
    "gather": (lambda: A.gather(0, ROWS[None, :]), (16 + 8, 8, 0, 8)),
    "einsum copies to lay heads out": (
        lambda: torch.einsum("blhd,bshd->bhls", torch.zeros(2, 3, 4, 5), torch.zeros(2, 6, 4, 5)),
        (2 * (480 + 960), 2 * (480 + 960) + 576, 2 * 2 * 4 * 3 * 6 * 5, 480 + 960 + 480 + 960 + 576),
    ),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_by_hand(name):
    call, expected = BY_HAND[name]
    assert counted(call) == expected


def test_in_place_reads_and_writes_and_copy_only_writes():
    x, y = torch.zeros(3, 4), torch.ones(3, 4)
    assert counted(lambda: x.add_(y)) == (96, 48, 0, 0)
    assert counted(lambda: x.mul_(2)) == (48, 48, 0, 0)
    assert counted(lambda: x.copy_(y)) == (48, 48, 0, 0)
    assert counted(lambda: x[1].fill_(2)) == (0, 16, 0, 0)
    assert counted(lambda: x.zero_()) == (0, 48, 0, 0)
    assert counted(lambda: x.uniform_()) == (0, 48, 0, 0)
    assert counted(lambda: x.masked_fill_(y > 0, 1.0)) == (48 + 48 + 12, 12 + 48, 0, 12)
    assert counted(lambda: torch._foreach_add_([x, y], [y, x])) == (96, 96, 0, 0)
    assert counted(lambda: x.t_())[:2] == (0, 0)


def test_writing_rows_of_a_cache_costs_the_rows():
    cache, row, slots = torch.zeros(100, 4), torch.ones(2, 4), torch.tensor([7, 3])
    rows = (16 + 32, 32, 0, 0)
    assert counted(lambda: cache.index_copy_(0, slots, row)) == rows
    assert counted(lambda: cache.__setitem__(slots, row)) == rows
    assert counted(lambda: cache.index_put_((slots,), row)) == rows
    assert counted(lambda: cache[5:7].copy_(row)) == (32, 32, 0, 0)
    assert counted(lambda: cache.index_add_(0, slots, row)) == (16 + 32 + 32, 32, 0, 0)
    assert counted(lambda: cache.index_put_((slots,), row, accumulate=True)) == (16 + 32 + 32, 32, 0, 0)
    assert counted(lambda: cache.index_fill_(0, slots, 1.0)) == (16, 32, 0, 0)
    assert counted(lambda: cache.scatter_(0, slots[None], row[:1])) == (16 + 16, 8, 0, 0)
    assert counted(lambda: cache.__setitem__((slice(5, 8), slots % 4), 1.0))[1] == 16 + 4 + 3 * 2 * 4
    columns = torch.tensor([[0, 1]])  # 16 bytes, and the slots beside it broadcast to (2, 2)
    assert counted(lambda: cache.index_put_((slots[:, None], columns), row[:, :2])) == (32 + 16, 16, 0, 0)


def test_a_boolean_mask_writes_what_it_selects():
    x, mask, row = torch.zeros(3, 4), torch.tensor([True, False, True]), torch.ones(4)
    assert counted(lambda: x.index_put_((mask,), row)) == (3 + 16, 32, 0, 0)
    assert counted(lambda: x.index_put_((x > 9,), row[0])) == (48 + 12 + 4, 12, 0, 12)


def test_peak_follows_tensors_as_they_die():
    def chain():
        x = torch.ones(100)  # 400 alive
        y = x + 1  # 800
        del x  # 400
        z = y * 2  # 800
        w = z.view(10, 10)
        del y, z  # the view keeps 400 alive
        return torch.cat([w, w, w])  # 1,600

    with ml.count() as c:
        kept = chain()
    assert c.peak_bytes == 1600
    assert c.largest_tensor == ("aten.cat", (30, 10), 300, 1200)
    assert kept.shape == (30, 10)


def test_what_existed_before_is_not_live_and_what_outlives_the_count_is_forgotten():
    before = torch.ones(1000)
    with ml.count() as c:
        before.add_(1)
        after = before[:10].clone()
    assert c.peak_bytes == 40
    del before, after
    gc.collect()
    assert c.peak_bytes == 40


def test_nested_counts_each_see_their_own_and_the_outer_sees_all():
    with ml.count() as outer:
        A + B[:3, :4]
        with ml.count() as inner:
            A @ B
        A * 1
    assert (inner.bytes_loaded, inner.bytes_stored, inner.flops, inner.peak_bytes) == (128, 60, 120, 60)
    assert outer.bytes_loaded == 96 + 128 + 48
    assert outer.bytes_stored == 48 + 60 + 48
    assert outer.flops == 120


def test_backward_is_counted_when_it_runs_inside():
    w = torch.ones(4, 5, requires_grad=True)
    forward = counted(lambda: (A @ w).sum())
    both = counted(lambda: (A @ w).sum().backward())
    assert forward[2] == 120
    assert both[2] == 240  # dL/dw = A.t() @ grad, and A needs none
    # ones_like (4), expand (free), then A (48) with the expanded 4 bytes.
    assert both[0] - forward[0] == 48 + 4
    assert both[1] - forward[1] == 4 + 80


def test_inference_mode_and_no_grad_count_alike():
    q, k = torch.ones(2, 3, 4, 5), torch.ones(2, 3, 6, 5)

    def scores():
        return (q.transpose(1, 2) @ k[:, :, :4].transpose(1, 2).transpose(-1, -2)).softmax(-1).reshape(-1)

    plain = counted(scores)
    with torch.no_grad():
        assert counted(scores) == plain
    with torch.inference_mode():
        assert counted(scores) == plain
    assert plain[2] > 0
    fused = counted(lambda: F.scaled_dot_product_attention(q, q, q))
    with torch.inference_mode():
        assert counted(lambda: F.scaled_dot_product_attention(q, q, q)) == fused


def test_an_optimizer_step_and_a_convolution():
    weight = torch.ones(4, 5, requires_grad=True)
    weight.grad = torch.ones(4, 5)
    step = torch.optim.SGD([weight], lr=0.1, foreach=False).step
    assert counted(step) == (160, 80, 0, 0)
    image, kernel = torch.ones(1, 2, 6, 6), torch.ones(3, 2, 3, 3)
    assert counted(lambda: F.conv2d(image, kernel)) == (288 + 216, 192, 2 * 3 * 16 * 2 * 9, 192)


def test_other_layouts_are_left_alone():
    with ml.count() as c:
        A.to_sparse().to_dense()
        A.detach().requires_grad_().detach_()
        nn.Linear(4, 5).zero_grad()
    assert c.flops == 0


@pytest.mark.parametrize("name", [name for name in ("packed", "packed float16") if runs(name)])
def test_a_product_with_a_packed_weight_is_a_product(name):
    x, weight = torch.ones(5, 32), torch.ones(64, 32)
    linear = LAYOUTS[name](weight, None)
    with ml.count() as c:
        linear(x)
    assert c.flops == 2 * 5 * 32 * 64
    inside = 0 if name == "packed float16" else weight.nbytes  # FBGEMM's weights are no tensors
    assert (c.bytes_loaded, c.bytes_stored) == (x.nbytes + inside, 5 * 64 * 4)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16, torch.float16])
def test_bytes_follow_the_dtype(dtype):
    size = torch.empty(0, dtype=dtype).element_size()
    x = torch.ones(3, 4, dtype=dtype)
    assert counted(lambda: x @ x.t()) == (12 * size, 9 * size, 72, 9 * size)


@pytest.mark.parametrize("causal", [False, True])
def test_fused_attention_issues_every_pair_and_stores_no_scores(causal):
    q, k = torch.ones(2, 4, 16, 8), torch.ones(2, 4, 16, 8)
    with ml.count() as c:
        F.scaled_dot_product_attention(q, k, k, is_causal=causal)
    assert c.flops == 4 * 2 * 4 * 16 * 16 * 8
    assert c.bytes_loaded == 2 * q.nbytes
    assert not c.allocated(elements=16 * 16 * 8)
    assert c.bytes_stored == q.nbytes + 2 * 4 * 16 * 4  # the output and lse


def test_fused_attention_backward_is_five_dots():
    q = torch.ones(2, 4, 16, 8, requires_grad=True)
    k, v = (torch.ones(2, 4, 16, 8, requires_grad=True) for _ in range(2))
    flops = counted(lambda: F.scaled_dot_product_attention(q, k, v).sum().backward())[2]
    assert flops == (2 + 5) * 2 * 2 * 4 * 16 * 16 * 8


def test_allocations_answer_whether_the_scores_were_ever_whole():
    q = torch.ones(2, 16, 8)
    with ml.count() as c:
        (q @ q.transpose(1, 2)).softmax(-1) @ q
    assert [made.op for made in c.allocated(ends_with=(16, 16))] == ["aten.bmm", "aten._softmax"]
    assert not c.allocated(elements=2 * 16 * 16 + 1)
    assert len(c.allocated()) == 3


def test_the_same_every_time_and_the_values_do_not_change():
    layer = nn.TransformerEncoderLayer(16, 2, 32, batch_first=True).eval()
    x = torch.randn(2, 5, 16, generator=torch.Generator().manual_seed(0))
    runs = [counted(lambda: layer(x)) for _ in range(3)]
    assert runs[0] == runs[1] == runs[2]
    plain = layer(x)
    with ml.count():
        assert torch.equal(layer(x), plain)


def test_meta_tensors_count_without_memory():
    layer = nn.Linear(8192, 28672, bias=False, device="meta", dtype=torch.bfloat16)
    x = torch.empty(1, 8192, device="meta", dtype=torch.bfloat16)
    loaded, stored, flops, peak = counted(lambda: layer(x))
    assert loaded == 2 * 8192 * (28672 + 1)
    assert stored == peak == 2 * 28672
    assert flops == 2 * 8192 * 28672


def test_other_threads_are_not_counted():
    with ml.count() as c:
        thread = threading.Thread(target=lambda: A @ B)
        thread.start()
        thread.join()
    assert c.bytes_moved == 0


def test_an_error_inside_leaves_nothing_switched_on():
    with pytest.raises(RuntimeError), ml.count() as c:
        A @ A
    A @ B
    assert c.flops == 0


def test_charge_reaches_every_open_count_and_needs_none():
    charge(bytes_loaded=5)
    with ml.count() as outer, ml.count() as inner:
        charge(bytes_loaded=5, bytes_stored=6, flops=7)
    assert (outer.bytes_loaded, inner.bytes_stored, inner.flops) == (5, 6, 7)


def test_counting_does_not_load_triton_the_first_time_anybody_multiplies():
    code = "import sys, torch, minillm as ml\nwith ml.count() as c: torch.ones(2, 3) @ torch.ones(3, 4)\n"
    code += "assert c.flops == 48 and 'triton' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_formulas_agree_with_the_registry_of_torch():
    from torch.utils.flop_counter import FlopCounterMode

    def network():
        x = torch.ones(2, 3, 8, requires_grad=True)
        layer = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0)
        F.conv1d(layer(x), torch.ones(4, 3, 3)).sum().backward()

    with FlopCounterMode(display=False) as theirs, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        network()
    with ml.count() as ours, torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        network()
    assert ours.flops == theirs.get_total_flops() > 0


def test_counters_print_a_table():
    with ml.count() as c:
        A @ B
    assert repr(c) == "Counters(bytes_loaded=128, bytes_stored=60, flops=120, peak_bytes=60)"
    assert str(c).splitlines() == [
        "bytes loaded       128",
        "bytes stored        60",
        "FLOPs in dots      120",
        "peak live bytes     60",
    ]
