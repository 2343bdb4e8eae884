"""The loops in C against arithmetic in float64: odd sizes, scattered pages, windows, threads, and machines without a compiler."""

import math
import random
import subprocess
from types import SimpleNamespace

import pytest
import torch
from cached_texts import BASE, relative, text
from paged_cache_battery import shuffled

import minillm as ml
from minillm.attention.naive_paged import naive_paged_attention
from minillm.attention.pages import Scratch
from minillm.cache import QuantizedPagedCache
from minillm.errors import Unsupported
from minillm.model import Decoder
from minillm.model.initial import initialise
from minillm.serving.compute import compiled
from minillm.serving.compute.packed_linear import LAYOUTS, runs
from minillm.serving.compute.plain_decoder import PlainDecoder
from minillm.serving.runner import PagedLoop

built = pytest.mark.skipif(not runs("compiled"), reason="no C compiler here")


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@built
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_row_times_a_matrix_of_any_size(count, threads):
    threads(count)
    torch.manual_seed(0)
    for size, out in ((1, 1), (15, 3), (16, 2), (64, 1), (100, 77), (129, 40), (512, 301)):
        x, weight, bias, total = torch.randn(1, size), torch.randn(out, size), torch.randn(out), torch.randn(1, out)
        exact, room = x.double() @ weight.double().T, 1e-6 * (1 + x.double().abs() @ weight.double().abs().T)
        assert ((compiled.OneRow(weight, None)(x) - exact).abs() <= room).all()
        assert ((compiled.OneRow(weight, bias)(x, total) - exact - bias - total).abs() <= 3 * room).all()


def scattered(lengths, P, G, D, seed=0):
    """Pages in random order, everything that belongs to nobody NaN -> k, v (num_blocks, P, G, D), each text's blocks."""
    torch.manual_seed(seed)
    draw, pages = random.Random(seed), [-(-length // P) for length in lengths]
    order = list(range(sum(pages) + 3))
    draw.shuffle(order)
    k, v = torch.randn(len(order), P, G, D), torch.randn(len(order), P, G, D)
    blocks = [[order.pop() for _ in range(count)] for count in pages]
    for x in (k, v):
        x[order] = math.nan
        for ids, length in zip(blocks, lengths, strict=True):
            x[ids[-1], (length - 1) % P + 1 :] = math.nan
    return k, v, blocks


@built
@pytest.mark.parametrize("window", [None, 1, 5, 40])
@pytest.mark.parametrize(
    "H, G, D, P", [(4, 4, 16, 3), (4, 2, 32, 16), (3, 1, 48, 1), (8, 2, 64, 16), (14, 2, 64, 8), (5, 1, 128, 5)]
)
def test_queries_against_pages_anywhere(H, G, D, P, window, threads):
    lengths = (1, 16, 17, 45, 3, 200)
    k, v, blocks = scattered(lengths, P, G, D)
    qkv = torch.randn(len(lengths), H + G, D)
    q, table = qkv[:, :H], torch.zeros(len(lengths), max(map(len, blocks)), dtype=torch.int32)
    for row, ids in zip(table, blocks, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    wide = [x.double().nan_to_num() for x in (q, k, v)]
    ends = torch.arange(len(lengths) + 1, dtype=torch.int32)
    want = naive_paged_attention(*wide, table, torch.tensor(lengths, dtype=torch.int32), ends, 1, window=window)
    for count in (1, 2, 5):
        threads(count)
        assert relative(_attend(q, k, v, blocks, lengths, window), want) <= 1e-6
    alone = _attend(q[5:], k, v, blocks[5:], lengths[5:], window)  # heads are dealt out to threads
    assert relative(alone, want[5:]) <= 1e-6


def _attend(q, k, v, blocks, lengths, window, counts=None):
    """The loop, of a batch made by hand."""
    cache = SimpleNamespace(scratch=Scratch(), pool=SimpleNamespace(block_size=k.shape[1]))
    counts = counts or (1,) * len(lengths)
    batch = SimpleNamespace(
        block_ids=blocks,
        lengths=lengths,
        counts=counts,
        max_query_len=max(counts),
        max_seq_len=max(lengths),
        cache=cache,
    )
    return compiled.Attention(batch, q.shape[1]).attend(q, compiled.Pages(k, v), window)


@built
@pytest.mark.parametrize("window", [None, 6])
@pytest.mark.parametrize("counts", [(4, 1, 2, 3), (4, 4, 4, 4), (1, 9, 4, 20), (5, 1, 1, 1), (1, 5, 1, 30)])
def test_a_few_queries_of_a_text_beside_prompts(counts, window):
    lengths = (17, 9, 40, 30)
    k, v, blocks = scattered(lengths, 8, 2, 16)
    q, starts = torch.randn(sum(counts), 4, 16), torch.tensor((0, *counts)).cumsum(0).int()
    table = torch.zeros(4, max(map(len, blocks)), dtype=torch.int32)
    for row, ids in zip(table, blocks, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    wide = [x.double().nan_to_num() for x in (q, k, v)]
    want = naive_paged_attention(*wide, table, torch.tensor(lengths).int(), starts, max(counts), window=window)
    assert relative(_attend(q, k, v, blocks, lengths, window, counts), want) <= 1e-6


@built
@pytest.mark.parametrize("size", [1e-3, 30.0, 100.0, 1e4])
def test_scores_of_any_size(size):
    """From all alike to one that takes everything: e to what is left is 0 and not something small and wrong."""
    lengths = (70,)
    k, v, blocks = scattered(lengths, 16, 1, 32)
    q = size * torch.randn(1, 2, 32)
    rows = [torch.cat([x[b] for b in blocks[0]])[:70, 0].double() for x in (k, v)]
    want = torch.softmax(q[0].double() @ rows[0].T / math.sqrt(32), -1) @ rows[1]
    assert relative(_attend(q, k, v, blocks, lengths, None)[0], want) <= 1e-5 * max(1, size / 30)


@built
@pytest.mark.parametrize("bad", [0x7FC00000, 0x7FC00001, 0x7F800000], ids=["nan", "another nan", "inf"])
def test_what_is_not_a_number_stays_so_and_stays_its_texts_own(bad):
    lengths = (20, 33, 5)
    k, v, blocks = scattered(lengths, 8, 2, 32)
    q = torch.randn(3, 4, 32).abs()
    before = _attend(q, k, v, blocks, lengths, None)
    k[blocks[1][2], 4, 0] = torch.tensor(bad, dtype=torch.int32).view(torch.float32)
    after = _attend(q, k, v, blocks, lengths, None)
    assert not after[1, :2].isfinite().any()
    after[1, :2] = before[1, :2]
    assert torch.equal(before, after)


FAULTS = {
    "a page is read to its end from wherever it is begun": (
        "keys.P - slot < left ? keys.P - slot",
        "keys.P < left ? keys.P",
    ),
    "the window is a key short": ("length - window :", "length - window + 1 :"),
    "what is behind the scores has a weight": ("scores[s] = -INFINITY;\n    vec", "(void)s;\n    vec"),
    "the last row of each thread's share is dropped": ("m->out * (thread + 1) / all)", "m->out / all * (thread + 1))"),
    "columns that fill no vector are left out": ("all += x[i] * row[i];", "(void)i;"),
    "vectors that fill no lanes are left out": ("sums[0] += *(const vec *)(x + i) *", "sums[0] += 0 *"),
    "small weights wrap round": ("given < -87.0f", "given < -870.0f"),
    "NaN is made a number": ("(given == given)", "(given == given) | -1"),
    "every text has the first one's blocks": ("{blocks + starts[t],", "{blocks,"),
    "heads share the first one's keys": (
        "rows + j * D, next + j * D, count, keys.step, D, scale",
        "rows, next, count, keys.step, D, scale",
    ),
}


@built
@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_in_the_loops_is_seen(name, nothing_built, monkeypatch, threads):
    old, new = FAULTS[name]
    source = compiled.SOURCE.read_text()
    assert source.count(old) == 1, name
    faulty = nothing_built / "faulty.c"
    faulty.write_text(source.replace(old, new))
    monkeypatch.setattr(compiled, "SOURCE", faulty)
    monkeypatch.setattr(compiled, "FLAGS", ("-O1", *compiled.FLAGS[1:]))
    with pytest.raises(AssertionError):
        for count in (1, 3):
            test_a_row_times_a_matrix_of_any_size(count, threads)
        for shape in ((4, 2, 32, 16), (3, 1, 48, 1)):
            for window in (None, 5):
                test_queries_against_pages_anywhere(*shape, window, threads)
        test_scores_of_any_size(100.0)
        test_what_is_not_a_number_stays_so_and_stays_its_texts_own(0x7FC00001)


WINDOWED = BASE.with_(
    hidden_size=64, num_heads=4, num_kv_heads=2, head_dim=16, family="qwen3", qk_norm=True, qkv_bias=True,
    sliding_window=7, sliding_layers=(0, 2), vocab_size=61,
)  # fmt: skip


@built
def test_texts_are_written_as_the_model_writes_them():
    """A prompt, then decoding of ragged texts and a fork, with a prompt in between: torch's way and the loops' in turn."""
    model = Decoder(WINDOWED)
    initialise(model, seed=1)
    caches = [shuffled(model.new_paged_cache(60, 4, check=True), seed) for seed in (0, 1)]
    loop, used = PagedLoop(model, "compiled"), []
    assert loop.plain.layout == "compiled"
    tables = [[cache.table() for _ in range(3)] for cache in caches]
    turn = lambda ids, counts: _both(model, loop, caches, tables, ids, counts)  # noqa: E731
    plain = compiled.Attention.attend
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(compiled.Attention, "attend", lambda *a: used.append(1) or plain(*a))
        assert turn(text(24)[0], [5, 14, 5]) <= 1e-5 and not used
        for step in range(6):
            assert turn(text(3, seed=step)[0], [1, 1, 1]) <= 1e-5
        assert len(used) == 6 * model.config.num_layers
        for ours in tables:
            ours.append(ours[1].fork())
        assert turn(text(4, seed=7)[0], [1, 1, 1, 1]) <= 1e-5
        assert turn(text(11, seed=8)[0], [1, 6, 1, 3]) <= 1e-5
        assert len(used) == 8 * model.config.num_layers


def _both(model, loop, caches, tables, ids, counts):
    got = loop.step(ids, caches[0].extend(tables[0], counts), torch.arange(len(ids)))
    with torch.no_grad():
        return relative(got, model(ids, caches[1].extend(tables[1], counts)))


@built
def test_quantised_pages_and_odd_heads_are_left_to_torch():
    model = Decoder(BASE)  # heads of 8
    cache = model.new_paged_cache(8, 4)
    assert not compiled.can_attend(cache.extend([cache.table()], [1]))
    model = Decoder(WINDOWED)
    sizes = (WINDOWED.num_layers, 8, 4, WINDOWED.num_kv_heads, WINDOWED.head_dim)
    eight = QuantizedPagedCache(*sizes, stored="int8")
    assert not compiled.can_attend(eight.extend([eight.table()], [1]))
    logits = PagedLoop(model, "compiled").step(torch.tensor([3]), eight.extend([eight.table()], [1]))
    assert logits.isfinite().all()


@built
def test_what_the_loops_do_is_counted():
    x, weight = torch.randn(1, 32), torch.randn(64, 32)
    with ml.count() as c:
        compiled.OneRow(weight, None)(x)
    assert (c.flops, c.bytes_loaded, c.bytes_stored) == (2 * 32 * 64, weight.nbytes + x.nbytes, 64 * 4)


@pytest.fixture
def nothing_built(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    for name in (compiled.library, runs):
        name.cache_clear()
    yield tmp_path
    for name in (compiled.library, runs):
        name.cache_clear()


@pytest.mark.parametrize("compiler", [None, "false", "no-such-compiler"])
def test_without_a_compiler_it_is_refused_and_auto_goes_on(compiler, nothing_built, monkeypatch):
    monkeypatch.setattr(compiled.shutil, "which", lambda name: None)
    monkeypatch.delenv("CC", raising=False)
    if compiler is not None:
        monkeypatch.setenv("CC", compiler)
    with pytest.raises(Unsupported, match=r"need a C compiler .*use weights='auto'"):
        compiled.library()
    with pytest.raises(Unsupported, match="need a C compiler"):
        PagedLoop(Decoder(BASE), "compiled")
    assert PlainDecoder(Decoder(BASE)).layout in LAYOUTS
    assert not list(nothing_built.rglob("*.so"))


@built
def test_it_is_built_once_and_kept(nothing_built, monkeypatch):
    made = []
    monkeypatch.setattr(
        compiled,
        "_run",
        lambda *command: made.append(command) or subprocess.run(command, capture_output=True, text=True, check=False),
    )
    compiled.library()
    assert len(made) == 2
    compiled.library.cache_clear()
    compiled.library()
    assert len(made) == 2 and [p.suffix for p in (nothing_built / "minillm").iterdir()] == [".so"]
