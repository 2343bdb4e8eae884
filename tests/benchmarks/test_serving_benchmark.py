"""The serving benchmark times the steps it names: every call does the same, and chooses what the model itself would."""

import importlib.util
import itertools

import pytest
import torch

from minillm.measure.step_cost import OPERATOR, PARTS, StepWork, work_of
from minillm.model import Decoder, ModelConfig
from minillm.serving.runner import PagedLoop

SMALL = ModelConfig(61, 32, 48, 2, 4, 2, 8, max_position_embeddings=1024)


def load(repository, name):
    path = repository / "benchmarks" / "serving" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"serving_{name}_benchmark", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def steps(repository, monkeypatch):
    module = load(repository, "steps")
    monkeypatch.setattr(module, "LLAMA", SMALL)
    return module


def test_the_grid_has_every_kind_of_step_and_fits_the_bundled_model(steps):
    grid = steps.grid()
    assert len(grid) == len(set(grid)) >= 5 * len(PARTS)
    assert max(start + new for shares in grid for start, new in shares) <= 1024
    kinds = [{new > 1 for _, new in shares} for shares in grid]
    assert all(kinds.count(kind) >= 10 for kind in ({False}, {True}, {False, True}))


def test_a_gpu_has_the_same_kinds_of_step_and_larger_ones(steps):
    grid = steps.grid(on_gpu=True)
    assert len(grid) == len(set(grid)) >= 4 * len(PARTS)
    assert max(len(shares) for shares in grid) == 256 and max(new for shares in grid for _, new in shares) == 4096
    assert max(sum(start + new for start, new in shares) for shares in grid) <= 2**17
    kinds = [{new > 1 for _, new in shares} for shares in grid]
    assert all(kinds.count(kind) >= 10 for kind in ({False}, {True}, {False, True}))


def test_known_shapes_are_timed_in_bfloat16(steps, monkeypatch):
    monkeypatch.setattr(steps, "grid", lambda on_gpu=False: [((31, 1),), ((0, 8),)])
    monkeypatch.setattr(steps, "KNOWN_CONFIGS", {"small": SMALL})
    rows = steps.gpu_steps(models=["small"], device="cpu", quick=True)
    assert [(row.dtype, dict(row.options)) for row in rows] == [
        ("bfloat16", {"model": "small 0M", "weights": "plain"})
    ] * 2
    assert "small 0M, bfloat16, T 1" in steps.in_words(rows[0])


def test_every_call_is_the_same_step_and_gives_its_blocks_back(steps):
    torch.manual_seed(0)
    model = Decoder(SMALL)
    cache, loop = steps.filled_cache(model, steps.grid()), PagedLoop(model)
    with steps.step_call(loop, cache, ((0, 5), (20, 1), (33, 7))) as call:
        assert torch.equal(call(), call()) and cache.pool.num_used > 0
    with steps.step_call(loop, cache, ((0, 9),)) as call:
        ids = torch.randint(0, 61, (9,), generator=torch.Generator().manual_seed(0))
        assert call().item() == model(ids[None])[0, -1].argmax().item()
    assert cache.pool.num_used == 0


def test_blocks_are_dealt_out_in_no_order(steps):
    blocks = steps.filled_cache(Decoder(SMALL), steps.grid()).pool.allocate(50)
    assert sum(b - a == 1 for a, b in itertools.pairwise(blocks)) < 8


def test_a_row_a_step_with_its_work(steps, monkeypatch):
    grid = [((31, 1),), ((0, 8),), ((10, 6), (31, 1))]
    monkeypatch.setattr(steps, "grid", lambda: list(grid))
    threads = torch.get_num_threads()
    rows = steps.engine_steps(threads=[1], models=["llama"], quick=True)
    assert torch.get_num_threads() == threads
    assert {work_of(row) for row in rows} == {StepWork.of(shares, len(shares)) for shares in grid}
    assert {(row.operator, row.options["threads"], row.options["model"]) for row in rows} == {(OPERATOR, 1, "llama 0M")}
    assert "ms" in steps.in_words(rows[0])


def test_a_row_for_each_crowd_and_nobody_leaves_while_it_is_timed(repository, monkeypatch):
    scheduling = load(repository, "scheduling")
    monkeypatch.setattr(scheduling, "WAITING", (0, 30))
    monkeypatch.setattr(scheduling, "RUNNING", 8)
    rows = scheduling.scheduling_steps(quick=True)
    assert [row.options["waiting"] for row in rows] == [0, 30] and {row.runs for row in rows} == {50}
    assert "8 running, 30 waiting" in scheduling.in_words(rows[1])
    crowd = scheduling.crowded(30)
    written = [request.num_output_tokens for request in crowd.running]
    assert scheduling.one_step(crowd) > 0
    assert (crowd.num_running, crowd.num_waiting) == (8, 30)
    assert [request.num_output_tokens for request in crowd.running] == [count + 1 for count in written]
    assert scheduling.OUTPUT > 400 + 1, "a text would end while steps are timed"


def test_layouts_race_beside_their_floors(repository, monkeypatch):
    monkeypatch.syspath_prepend(repository / "benchmarks" / "serving")
    layouts = load(repository, "layouts")
    monkeypatch.setattr(layouts, "CONFIGS", {"small": SMALL})
    monkeypatch.setattr(layouts, "TEXTS", (1, 2, 3))
    threads = torch.get_num_threads()
    rows = layouts.layout_steps(threads=[1], models=["small"], quick=True)
    assert torch.get_num_threads() == threads
    names = {row.backend for row in rows}
    assert {"plain", "packed", "plain, products alone"} <= names and {row.shape["B"] for row in rows} == {1, 3}
    assert "1 threads, plain:" in layouts.in_words(rows[0]) and "as fast as plain" in layouts.in_words(rows[1])
    with pytest.raises(AssertionError, match="packed differs by"):
        layouts._require_agreement({"plain": torch.ones(2, 3), "packed": torch.ones(2, 3) + 1e-3})


def test_texts_of_the_layouts_are_spread_between_two_lengths(repository, monkeypatch):
    monkeypatch.syspath_prepend(repository / "benchmarks" / "serving")
    layouts = load(repository, "layouts")
    assert layouts.lengths(1) == ((200, 1),) and layouts.lengths(2) == ((130, 1), (270, 1))
