"""Walls: the same tensor, poison around it and in its gaps, and every footprint found."""

import math

import pytest
import torch

from minillm.errors import InvalidType
from minillm.lab.walled_memory import WALL, footprints, neighbourhood, walled

VIEWS = {
    "vector": torch.arange(5.0),
    "strided": torch.arange(24.0).reshape(4, 6)[::2, 1:4],
    "transposed": torch.arange(12.0).reshape(3, 4).T,
    "scalar": torch.tensor(3.0),
    "empty": torch.empty(0, 3),
}


def memory_of(x):
    return torch.empty(0, dtype=x.dtype).set_(x.untyped_storage())


@pytest.mark.parametrize("name", VIEWS)
def test_values_shape_and_strides_are_kept_and_all_else_is_poison(name):
    x = VIEWS[name]
    inside = walled(x)
    assert torch.equal(inside, x) and inside.stride() == x.stride()
    memory = memory_of(inside)
    assert int((~memory.isnan()).sum()) == x.numel() and len(memory) >= 2 * WALL
    assert footprints(inside) == []


@pytest.mark.parametrize("fill", [math.nan, -7.0])
@pytest.mark.parametrize("place", [-WALL, -1, 1, 5, WALL])
def test_a_footprint_is_found_where_it_is(fill, place):
    x = walled(torch.zeros(3, 3)[:, :1], fill)  # elements at 0, 3 and 6
    memory_of(x)[x.storage_offset() + place] = 4.0
    assert footprints(x, fill) == [place]
    x.fill_(9.0)
    assert footprints(x, fill) == [place]


def test_whole_numbers_have_walls_too():
    x = walled(torch.tensor([3, 5]), -1)
    assert x.dtype == torch.int64 and neighbourhood(x, 1, 2) == [-1, 3, 5, -1, -1]


def test_only_tensors():
    with pytest.raises(InvalidType, match="list"):
        walled([1.0])
