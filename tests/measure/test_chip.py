"""On chip only loads, stores and dots count; what a mask or an edge keeps out costs nothing and holds `other`."""

import pytest
import torch

import minillm as ml
from minillm.errors import InvalidType, InvalidValue
from minillm.measure import load, on_chip, store

A = torch.arange(12.0).reshape(3, 4)  # 48 bytes
B = torch.ones(4, 5)  # 80 bytes


def test_on_chip_only_loads_stores_and_dots_count():
    out = torch.zeros(3, 5)
    with ml.count() as c, on_chip():
        a, b = load(A), load(B)
        tile = (a @ b).exp() * 2
        store(out, tile)
    assert (c.bytes_loaded, c.bytes_stored, c.flops, c.peak_bytes) == (128, 60, 120, 0)
    assert c.peak_on_chip_bytes == 48 + 80 + 60 + 60
    assert not c.allocations
    assert torch.equal(out, (A @ B).exp() * 2)


def test_load_and_store_count_once_outside_the_region_too():
    out = torch.zeros(3, 4)
    with ml.count() as c:
        store(out, load(A))
    assert (c.bytes_loaded, c.bytes_stored) == (48, 48)


def test_masks_let_through_what_they_count():
    out = torch.full((3, 4), 9.0)
    rows, columns = torch.tensor([True, True, False])[:, None], torch.tensor([True, False, False, True])
    with ml.count() as c:
        tile = load(A, mask=rows, other=-1.0)
        store(out, tile, mask=columns)
    assert (c.bytes_loaded, c.bytes_stored) == (2 * 16, 2 * 3 * 4)
    assert torch.equal(tile[2], torch.full((4,), -1.0)) and torch.equal(tile[:2], A[:2])
    assert torch.equal(out[:, 1:3], torch.full((3, 2), 9.0)) and torch.equal(out[:, 0], tile[:, 0])


def test_a_tile_cut_by_the_edge_is_padded_and_the_padding_is_free():
    out = torch.zeros(1, 4)
    with ml.count() as c, on_chip():
        tile = load(A[2:], shape=(4, 4), other=7.0)
        tile @ tile
        store(out, tile)
    assert tile.shape == (4, 4) and torch.equal(tile[1:], torch.full((3, 4), 7.0))
    assert torch.equal(out, A[2:])
    assert (c.bytes_loaded, c.bytes_stored, c.flops) == (16, 16, 2 * 4 * 4 * 4)


def test_a_loaded_tile_is_a_copy_whether_or_not_anyone_counts():
    load(A).zero_()
    with ml.count():
        load(A).zero_()
    assert A[0, 1] == 1


def test_nested_regions_and_counts():
    with ml.count() as outer, on_chip():
        with on_chip():
            A.clone()
        A.clone()
        with ml.count() as inner:
            A.clone()
    A.clone()
    assert outer.bytes_moved == 0 and outer.peak_on_chip_bytes == 48
    assert inner.bytes_moved == 96 and inner.peak_on_chip_bytes == 0


def test_an_expanded_tile_is_read_once_and_a_narrow_destination_rounds():
    out = torch.zeros(3, 4, dtype=torch.bfloat16)
    with ml.count() as c, on_chip():
        store(out, load(A[:1].expand(3, 4)) + 0.001)
    assert (c.bytes_loaded, c.bytes_stored) == (16, 24)
    assert torch.equal(out, (A[:1].expand(3, 4) + 0.001).to(torch.bfloat16))


def test_gradients_pass_through_a_load():
    x = torch.ones(2, 2, requires_grad=True)
    with on_chip():
        load(x, mask=torch.tensor([True, False]), other=5.0).sum().backward()
    assert torch.equal(x.grad, torch.tensor([[1.0, 0.0], [1.0, 0.0]]))


def test_integers_keep_their_dtype():
    table = torch.tensor([3, 4])
    tile = load(table, shape=(4,), other=-1)
    assert tile.tolist() == [3, 4, -1, -1] and tile.dtype == torch.int64


@pytest.mark.parametrize(
    ("call", "error", "told"),
    [
        (lambda: load([1.0]), InvalidType, "source must be a tensor; got list"),
        (lambda: load(A, mask=A), InvalidType, "mask must be a bool tensor; got torch.float32"),
        (lambda: load(A, mask=torch.ones(3, dtype=torch.bool)), InvalidValue, r"\(3,\) for \(3, 4\)"),
        (lambda: load(A[0], mask=torch.ones(3, 4, dtype=torch.bool)), InvalidValue, "mask must broadcast"),
        (lambda: load(A, shape=(4,)), InvalidValue, "source's rank"),
        (lambda: load(A, shape=(2, 4)), InvalidValue, "nowhere smaller"),
        (lambda: store(A, A[:2]), InvalidValue, r"tile must have .* got \(2, 4\) and \(3, 4\)"),
        (lambda: store(A, 3.0), InvalidType, "tile must be a tensor"),
        (lambda: store(None, A), InvalidType, "destination must be a tensor"),
    ],
)
def test_what_does_not_fit_is_refused_and_writes_nothing(call, error, told):
    before = A.clone()
    with pytest.raises(error, match=told):
        call()
    assert torch.equal(A, before)
