"""A cache with somebody else's book-keeping: honest books give the model's own scores, cooked ones show in them."""

import importlib.util
from pathlib import Path

import torch

from minillm.lab.exercises.greedy import small_model
from minillm.lab.placed_cache import PlacedCache

IDS = torch.tensor([[(13 * i * i + 4 * i + 2) % 61 for i in range(24)]])


def solution():
    path = Path(__file__).parents[2] / "notebooks" / "solutions" / "lesson_07.py"
    spec = importlib.util.spec_from_file_location("solutions_of_07", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.Mended


@torch.no_grad()
def scores_in_passes(place, cuts):
    cache, rows = PlacedCache(small_model(), place), []
    for piece in IDS.split(cuts, dim=1):
        rows.append(small_model()(piece, cache))
    return torch.cat(rows, 1)


@torch.no_grad()
def test_an_honest_place_gives_the_scores_of_the_whole_text():
    want = small_model()(IDS)
    for cuts in ([24], [1] * 24, [7, 16, 1]):
        assert torch.allclose(scores_in_passes(solution()(24), cuts), want, atol=1e-4)


@torch.no_grad()
def test_positions_that_stand_still_show_in_the_scores():
    class Stuck(solution()):
        def positions(self, count):
            return 0, count

    assert not torch.allclose(scores_in_passes(Stuck(24), [12, 12]), small_model()(IDS), atol=1e-2)


@torch.no_grad()
def test_positions_shifted_from_the_start_do_not_show():
    class Shifted(solution()):
        def positions(self, count):
            start, stop = super().positions(count)
            return start + 100, stop + 100

    assert torch.allclose(scores_in_passes(Shifted(24), [12, 12]), small_model()(IDS), atol=1e-3)
