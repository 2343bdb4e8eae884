"""A launch counted in another process reports what interpreting it here does, and changes nothing here."""

import pytest
import torch

pytest.importorskip("triton")

import sample_kernels

import minillm as ml
from minillm.errors import Unsupported
from minillm.kernels.counting import count_elsewhere
from minillm.kernels.runtime import Launch


def numbers(counted):
    return counted.bytes_loaded, counted.bytes_stored, counted.flops


def test_the_child_counts_what_this_process_would():
    whole = torch.randn(64, 3, 64).bfloat16()
    before = whole.clone()
    a, b, c = whole.unbind(1)  # views of one storage, with gaps between their rows
    with ml.count() as outer, ml.count() as elsewhere:
        count_elsewhere(Launch(sample_kernels.product, (1,), (a, b, c, 192, 64), {"BLOCK": 32}, 4, 3))
    assert torch.equal(whole, before), "the launch's own tensors are not written"
    with ml.count() as here:
        sample_kernels.product[(1,)](a, b, c, 192, 64, BLOCK=32)
    dots = 2 * (2 * 32 * 32 * 32)
    assert numbers(elsewhere) == numbers(outer) == numbers(here) == (2 * 2 * 32 * 32 * 2, 32 * 32 * 2, dots)
    assert elsewhere.peak_bytes == 0


def test_what_is_loaded_may_decide_what_is_counted():
    x, y, lengths = torch.zeros(100), torch.zeros(100), torch.tensor([1, 2, 70, 3])
    with ml.count() as counted:
        count_elsewhere(Launch(sample_kernels.ragged_copy, (1,), (x, y, lengths[2:]), {"BLOCK": 128}, 4, 1))
    assert numbers(counted) == (70 * 4 + 8, 70 * 4, 0)


def test_a_child_that_fails_or_dawdles_is_reported():
    x = torch.zeros(16)
    with pytest.raises(Unsupported, match=r"nonsense takes interpreting it in another process; got .*undefined_name"):
        count_elsewhere(Launch(sample_kernels.nonsense, (1,), (x,), {"BLOCK": 16}, 4, 1))
    with pytest.raises(Unsupported, match=r"got 0\.1 s without an end; count a smaller shape"):
        count_elsewhere(Launch(sample_kernels.masked_copy, (1,), (x, x, 16, None), {"BLOCK": 16}, 4, 1), timeout_s=0.1)
