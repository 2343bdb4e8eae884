"""The lesson's patient has the four faults that its clinic speaks of, each of which matters, and no other."""

import math
from pathlib import Path

import pytest
import torch
from lesson_rules import Lesson, source

from minillm.attention.naive import naive_attention
from minillm.lab.exercises.blockwise_faults import FAULTS, blockwise
from minillm.lab.exercises.visited_tiles import visits_by_counting
from minillm.measure.tiles import key_range

LESSON = Path(__file__).parents[2] / "notebooks" / "05_flash_attention.ipynb"


def drawn(L, S, seed=0, D=4):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(n, D, generator=generator, dtype=torch.float64) for n in (L, S, S)]


def patient():
    [cell] = [cell for cell in Lesson.read(LESSON).cells("code") if source(cell).startswith("def patient(")]
    names = {"math": math, "torch": torch}
    exec(source(cell), names)
    return names["patient"]


CALLS = [(6, 6, 2, True), (3, 9, 4, True), (7, 4, 2, True), (5, 8, 8, False), (5, 8, 3, False)]


@pytest.mark.parametrize(("L", "S", "tile", "causal"), CALLS)
def test_the_patient_is_the_program_with_every_fault(L, S, tile, causal):
    q, k, v = drawn(L, S)
    sick = blockwise(q, k, v, tile, causal, faults=FAULTS)
    assert torch.allclose(patient()(q, k, v, tile, causal), sick, equal_nan=True)


@pytest.mark.parametrize(("L", "S", "tile", "causal"), CALLS)
def test_without_faults_it_is_attention(L, S, tile, causal):
    q, k, v = drawn(L, S)
    want = naive_attention(*(x[None, :, None] for x in (q, k, v)), causal=causal)[0, :, 0]
    assert torch.allclose(blockwise(q, k, v, tile, causal), want)


def test_visits_by_counting_are_the_kernels_ranges():
    for L, S, window in ((7, 7, None), (3, 11, None), (11, 3, None), (9, 9, 4), (5, 17, 2), (12, 4, 30)):
        for block_l, block_s in ((4, 4), (4, 2), (2, 5)):
            for q_tile in range(-(-L // block_l)):
                want = key_range(q_tile, L, S, block_l, block_s, causal=True, window=window).tiles(block_s)
                assert visits_by_counting(q_tile, L, S, block_l, block_s, window) == want
