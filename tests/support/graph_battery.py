"""What padded decode steps are held to, as named checks that take a house; and houses with one wrong line each.

A house is the names of `minillm.serving.compute.decode_graph`, its text as it is or with a piece replaced.
"""

import importlib.util
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest
import torch
from cached_texts import decoder, relative, text
from paged_cache_battery import shuffled
from static_batches import as_it_is, torch_batch

from minillm.cache import PagedCache
from minillm.errors import InvalidType, InvalidValue
from minillm.serving.runner import PagedLoop

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "tests" / "wrong_answers" / "serving" / "decode_graph"
NAMES = sorted(path.stem for path in FOLDER.glob("*.py"))
LONGEST = 40
CHECKS = {}


def check(function):
    """Register a check under its own name."""
    CHECKS[function.__name__] = function
    return function


def describe(name):
    """The mutant's own module: FILE, OLD, NEW, CAUGHT_BY."""
    spec = importlib.util.spec_from_file_location(f"wrong_graph_{name}", FOLDER / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def house_with(mutant=None):
    """-> the names of the module, one piece of its text replaced."""
    path = ROOT / "minillm" / "serving" / "compute" / "decode_graph.py"
    source = path.read_text(encoding="utf-8")
    if mutant is not None:
        found = source.count(mutant.OLD)
        assert path == ROOT / mutant.FILE and found == 1, f"the text to replace stands {found} times in {mutant.FILE}"
        source = source.replace(mutant.OLD, mutant.NEW)
    module = ModuleType("minillm.serving.compute.decode_graph")
    exec(compile(source, f"broken {path.name}", "exec"), module.__dict__)
    return SimpleNamespace(**{name: value for name, value in vars(module).items() if not name.startswith("_")})


HOUSE = house_with()


def complaint(name, house):
    """What a check says of a house, or None."""
    try:
        CHECKS[name](house)
    except (Exception, pytest.fail.Exception) as problem:
        return repr(problem)
    return None


def cache_of(model, seed, P=4):
    c = model.config
    return shuffled(
        PagedCache(c.num_layers, 60, P, c.num_kv_heads, c.head_dim, dtype=model.dtype, check=True), seed=seed
    )


def compare(house, model, kind, sizes, allowed, days):
    """Days of steps, (how many texts, how long each was) -> every row is what PagedLoop gives, and so is the cache."""
    ours, theirs = cache_of(model, 0), cache_of(model, 1)
    loop = PagedLoop(model)
    graphs = house.DecodeGraphs(loop, ours, sizes, LONGEST, record=as_it_is, make_batch=kind)
    for lengths, steps in days:
        tables = [[cache.table() for _ in lengths] for cache in (ours, theirs)]
        prompts = torch.cat([text(n, seed=b)[0] for b, n in enumerate(lengths)])
        for cache, mine in zip((ours, theirs), tables, strict=True):
            loop.step(prompts, cache.extend(mine, lengths))
        for step in range(steps):
            ids = text(len(lengths), seed=step)[0]
            one = [1] * len(lengths)
            batch = ours.extend(tables[0], one)
            assert graphs.takes(batch)
            got, want = graphs.step(ids.tolist(), batch), loop.step(ids, theirs.extend(tables[1], one))
            for row, (a, b) in enumerate(zip(got, want, strict=True)):
                assert relative(a, b) <= allowed, f"row {row} of {lengths} in step {step}"
        for layer in range(model.config.num_layers):
            for a, b in zip(*tables, strict=True):
                assert relative(ours.read(layer, a)[0], theirs.read(layer, b)[0]) <= allowed
        for table in (*tables[0], *tables[1]):
            table.free()


DAYS = (((9, 3, 14), 6), ((5,), 4), ((1, 30, 2, 8, 7), 3), ((4, 4), 2), ((2, 3, 4, 5), 1), ((6, 1, 3), 2))
QUICK = (((9, 3, 14), 2), ((5,), 1), ((1, 9), 1))


@check
def every_row_is_the_steps_own(house):
    """Fewer texts than rows, then more, then fewer: what a former step left in the buffers is nobody's."""
    for name in ("llama mha", "qwen3", "qwen2 window", "mistral"):
        compare(house, decoder(name), torch_batch(house.StaticBatch), [1, 2, 4, 8], 1e-12, DAYS)


@check
def buffers_stay_where_they_are(house):
    """A recorded step knows addresses, and nothing else of the tensors it was recorded with."""
    model = decoder("qwen3")
    cache = cache_of(model, 0)
    batch = house.StaticBatch(cache, 2, LONGEST)
    names = ("token_ids", "token_positions", "slot_mapping", "seq_lens", "block_table", "query_start_loc")
    before = {name: getattr(batch, name).data_ptr() for name in names}
    table = cache.table()
    cache.extend([table], [9])
    batch.load([3], cache.extend([table], [1]))
    assert {name: getattr(batch, name).data_ptr() for name in names} == before
    assert batch.token_ids.tolist() == [3, 0] and batch.token_positions.tolist() == [9, 0]
    assert batch.seq_lens.tolist() == [10, 0] and batch.slot_mapping.tolist() == [table.slots(9, 10)[0], -1]
    alone = house.StaticBatch(cache, 1, LONGEST)
    assert isinstance(alone.positions(alone.token_ids), torch.Tensor), "a number would be known by heart"


@check
def exchanged_blocks_are_loaded_again(house):
    """A copied block has another number at the same place of a row."""
    model = decoder("qwen3")
    cache = cache_of(model, 0)
    batch, table = house.StaticBatch(cache, 1, LONGEST), cache.table()
    cache.extend([table], [6])
    batch.load([3], cache.extend([table], [1]))
    assert batch.block_table[0, :2].tolist() == table.block_ids
    fork = table.fork()
    batch.load([3], cache.extend([fork], [1]))
    assert fork.block_ids[1] != table.block_ids[1] and batch.block_table[0, :2].tolist() == fork.block_ids


@check
def what_is_taken(house):
    model = decoder("qwen3")
    cache = cache_of(model, 0)
    graphs = house.DecodeGraphs(
        PagedLoop(model), cache, [1, 2], 8, record=as_it_is, make_batch=torch_batch(house.StaticBatch)
    )
    tables = [cache.table() for _ in range(3)]
    assert not graphs.takes(cache.extend(tables[:1], [2])), "a prompt"
    assert not graphs.takes(cache.extend(tables, [1, 1, 1])), "too many"
    assert graphs.takes(cache.extend(tables[:2], [1, 1]))
    cache.extend(tables[:1], [3])
    assert graphs.takes(cache.extend(tables[:1], [1])) and not graphs.takes(cache.extend(tables[:1], [1])), "too long"


@check
def sizes(house):
    assert (
        house.graph_sizes(1) == [1]
        and house.graph_sizes(3) == [1, 2, 3]
        and house.graph_sizes(32) == [1, 2, 4, 8, 16, 32]
    )
    assert house.graph_sizes(33) == [1, 2, 4, 8, 16, 32, 33] and house.graph_sizes(64) == [1, 2, 4, 8, 16, 32, 64]
    assert house.graph_sizes(256) == [1, 2, 4, 8, 16, *range(32, 257, 32)]
    model = decoder("qwen3")
    cache = cache_of(model, 0)
    for sizes, error in (([], InvalidValue), ([2, 1], InvalidValue), ([1, 1], InvalidValue), ([0], InvalidValue)):
        with pytest.raises(error):
            house.DecodeGraphs(PagedLoop(model), cache, sizes, 8, record=as_it_is)
    with pytest.raises(InvalidType):
        house.DecodeGraphs(PagedLoop(model), cache, [1.5], 8, record=as_it_is)
