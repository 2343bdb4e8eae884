"""The loops in C against arithmetic in float64: odd sizes, scattered pages, windows, threads, and machines without a compiler."""

import math
import random
import shutil
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
from minillm.serving.compute import compiled, loops
from minillm.serving.compute.packed_linear import LAYOUTS, Norm, Plain, runs, uses_all_threads
from minillm.serving.compute.plain_decoder import PlainDecoder
from minillm.serving.runner import PagedLoop

built = pytest.mark.skipif(not runs("compiled"), reason="no C compiler here")
no_halves = not runs("compiled bfloat16")
knows_halves = pytest.mark.skipif(no_halves, reason="no C compiler here, or a processor without bfloat16")


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


SIZES = ((1, 1), (15, 3), (16, 2), (64, 64), (100, 77), (129, 40), (512, 301))  # in, out
ROWS = (0, 1, 2, 3, 5, 6, 7, 13, 31)


def drawn(n, size, out):
    torch.manual_seed(n)
    return torch.randn(n, size), torch.randn(out, size), torch.randn(out), torch.randn(n, out)


@built
@pytest.mark.parametrize("count", [1, 2, 3])
def test_rows_times_a_matrix_of_any_size(count, threads):
    threads(count)
    for size, out in SIZES:
        for n in ROWS:
            x, weight, bias, total = drawn(n, size, out)
            exact, room = x.double() @ weight.double().T, 1e-6 * (1 + x.double().abs() @ weight.double().abs().T)
            apart = torch.cat((x, x), dim=1)[:, :size]
            for rows in (x, apart):
                assert ((compiled.Panels(weight, None)(rows) - exact).abs() <= room).all()
            want = exact + bias + total
            assert ((compiled.Panels(weight, bias).add(total, x) - want).abs() <= 3 * room).all()
            assert ((total - want).abs() <= 3 * room).all()  # in place
    for n in (126, 127, 252, 253, 700):  # 126 rows of 768 are gone over at once
        x, weight, bias, _ = drawn(n, 768, 130)
        assert relative(compiled.Panels(weight, bias)(x), x.double() @ weight.double().T + bias) <= 1e-6


@built
@pytest.mark.parametrize("n", ROWS)
def test_rows_that_are_normed_and_gated_on_the_way(n):
    for size, out in SIZES:
        x, weight, bias, _ = drawn(n, size, 2 * out)
        x *= 10.0 ** torch.arange(n)[:, None].remainder(5)  # so that each row has a root of its own
        norm, wide = Norm(None, 0.3, x), Norm(None, 0.3, x.double())
        plain = Plain(weight.double(), bias.double())
        room, allowed = torch.full((n, 2 * out), torch.nan), 1e-6 * size
        got = compiled.Panels(weight, bias).after(norm, x, room)
        assert got is room and ((got - plain.after(wide, x.double())).abs() <= allowed).all()
        got = compiled.Panels(weight, bias, gated=True).gated(norm, x)
        assert ((got - plain.gated(wide, x.double())).abs() <= 10 * allowed).all()


@knows_halves
@pytest.mark.parametrize("n", ROWS)
def test_halves_are_what_torch_rounds_to(n, threads):
    for count in (1, 2):
        threads(count)
        for size, out in SIZES:
            x, weight, bias, _ = drawn(n, size, 2 * out)
            x[:1] = 1 + torch.arange(size) % 7 * 2.0**-8  # half way between two, now and then
            short = [y.bfloat16().double() for y in (x, weight)]
            room = 2e-6 * (1 + short[0].abs() @ short[1].abs().T)
            want = short[0] @ short[1].T + bias
            assert ((compiled.Panels(weight, bias, halves=True)(x) - want).abs() <= room).all()
            roots = torch.hypot(x.double().norm(dim=1, keepdim=True), torch.tensor(0.3))
            normed = short[0] @ short[1].T / roots + bias
            gate, up = normed.chunk(2, dim=1)
            got = compiled.Panels(weight, bias, gated=True, halves=True).gated(Norm(None, 0.3, x), x)
            assert ((got - gate * torch.sigmoid(gate) * up).abs() <= 1e-4 * (1 + up.abs())).all()
    odd = torch.tensor([[math.nan, 1.0], [math.inf, 1.0], [3.4e38, 0.0]])
    got = compiled.Panels(torch.ones(1, 2), None, halves=True)(odd)[:, 0]
    assert got[0].isnan() and got[1:].isinf().all()  # the largest floats are nearer to infinity


@built
@pytest.mark.parametrize("size", [1e-3, 1.0, 90.0, 1e4])
def test_gates_of_any_size(size):
    """From all half open to open or shut: e to a large number is nowhere."""
    x = torch.linspace(-size, size, 41)[:, None]
    weight, norm = torch.ones(2, 1), Norm(None, 0.0, x)
    norm.floor = math.sqrt(3) * size  # x over |(x, 1.7 size)| is known, and lies between -1/2 and 1/2
    weight *= 2 * size
    want = Plain(weight.double(), None)(x.double() / torch.hypot(x.double(), torch.tensor(norm.floor).double()))
    gate, up = want.chunk(2, -1)
    got = compiled.Panels(weight, None, gated=True).gated(norm, x)
    assert ((got - gate * torch.sigmoid(gate) * up).abs() <= 1e-5 * (gate * up).abs() + 1e-30).all()


@built
def test_a_row_has_the_same_bits_alone_and_in_any_company(threads):
    x, weight, bias, _ = drawn(300, 768, 200)
    linear = compiled.Panels(weight, bias)
    together = linear(x)
    for first, last in ((0, 1), (5, 7), (4, 10), (17, 49), (100, 300)):
        for count in (1, 3):
            threads(count)
            assert torch.equal(linear(x[first:last]), together[first:last])


@built
@pytest.mark.parametrize("D", [32, 64, 128])
@pytest.mark.parametrize("n", [1, 5, 70])
def test_heads_are_turned(n, D, threads):
    torch.manual_seed(0)
    qkv, angles = torch.randn(n, 7, D), torch.rand(n, 1, D)
    for cos, sin in ((angles, -angles), (angles[0], 1 - angles[0])):
        for count in (1, 2):
            threads(count)
            ours = qkv.clone()
            want = (ours[:, :5] * cos + ours[:, :5].roll(D // 2, -1) * sin).double()
            got = compiled.turning(cos, sin)(ours[:, :5])
            assert relative(got, want) <= 1e-6 and torch.equal(got, ours[:, :5])
            assert torch.equal(ours[:, 5:], qkv[:, 5:])
    assert compiled.can_turn(D) and not compiled.can_turn(D + 16)


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
    q = qkv[:, :H]
    want = _exactly(q, k, v, blocks, lengths, window, (1,) * len(lengths))
    for count in (1, 2, 5):
        threads(count)
        assert relative(_attend(q, k, v, blocks, lengths, window), want) <= 1e-6
    alone = _attend(q[5:], k, v, blocks[5:], lengths[5:], window)  # heads are dealt out to threads
    assert relative(alone, want[5:]) <= 1e-6


def _exactly(q, k, v, blocks, lengths, window, counts):
    """The oracle in float64."""
    table, starts = torch.zeros(len(blocks), max(map(len, blocks))).int(), torch.tensor((0, *counts)).cumsum(0).int()
    for row, ids in zip(table, blocks, strict=True):
        row[: len(ids)] = torch.tensor(ids)
    wide = [x.double().nan_to_num() for x in (q, k, v)]
    return naive_paged_attention(*wide, table, torch.tensor(lengths).int(), starts, max(counts), window=window)


def _attend(q, k, v, blocks, lengths, window, counts=None):
    """The loop, of a batch made by hand."""
    return _attention(q, k.shape[2], k.shape[1], blocks, lengths, counts).attend(q, compiled.Pages(k, v), window)


def _attention(q, G, P, blocks, lengths, counts=None, slots=None):
    cache = SimpleNamespace(scratch=Scratch(), pool=SimpleNamespace(block_size=P), shape=(1, 1, P, G, q.shape[2]))
    counts = counts or (1,) * len(lengths)
    batch = SimpleNamespace(
        block_ids=blocks,
        lengths=lengths,
        counts=counts,
        max_query_len=max(counts),
        max_seq_len=max(lengths),
        cache=cache,
        slot_mapping=slots,
    )
    return compiled.Attention(batch, q.shape[1])


@built
def test_keys_and_values_are_kept_in_their_slots():
    """They come as parts of wider rows, each of its own width."""
    k, v, blocks = scattered((5, 9), 4, 2, 16)
    slots = torch.tensor([blocks[1][2] * 4, blocks[0][0] * 4 + 3, blocks[1][0] * 4])
    new_k, new_v = torch.randn(3, 5, 16)[:, 1:3], torch.randn(3, 4, 16)[:, 2:]
    want = [x.flatten(0, 1).index_copy(0, slots, new).view_as(x) for x, new in ((k, new_k), (v, new_v))]
    _attention(torch.empty(3, 4, 16), 2, 4, blocks, (5, 9), slots=slots).keep(new_k, new_v, compiled.Pages(k, v))
    assert all(torch.equal(got.nan_to_num(), x.nan_to_num()) for got, x in zip((k, v), want, strict=True))


@built
@pytest.mark.parametrize("window", [None, 6])
@pytest.mark.parametrize("counts", [(4, 1, 2, 3), (4, 4, 4, 4), (1, 9, 4, 20), (5, 1, 1, 1), (1, 5, 1, 30)])
def test_a_few_queries_of_a_text_beside_prompts(counts, window, monkeypatch):
    """Prompts by torch, and by the loop; for the whole of a short text and for the last of a long one."""
    lengths = (17, 9, 40, 30)
    k, v, blocks = scattered(lengths, 8, 2, 16)
    q = torch.randn(sum(counts), 4, 16)
    want = _exactly(q, k, v, blocks, lengths, window, counts)
    for most in (256, 8, 0):
        monkeypatch.setattr(compiled, "FEW_KEYS", most)
        assert relative(_attend(q, k, v, blocks, lengths, window, counts), want) <= 1e-6


@built
def test_a_text_has_the_same_bits_however_it_is_read():
    """Whole, in pieces, one by one, and beside others."""
    k, v, blocks = scattered((45, 20), 8, 2, 32)
    q = torch.randn(65, 4, 32)
    whole = _attend(q[:45], k, v, blocks[:1], (45,), None, (45,))
    pieces = [_attend(q[a:b], k, v, blocks[:1], (b,), None, (b - a,)) for a, b in ((0, 7), (7, 8), (8, 45))]
    beside = _attend(q, k, v, blocks, (45, 20), None, (45, 20))
    assert torch.equal(torch.cat(pieces), whole) and torch.equal(beside[:45], whole)


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
    "pages.c": {
        "a page is read to its end from wherever it is begun": (
            "keys.P - slot < left ? keys.P - slot",
            "keys.P < left ? keys.P",
        ),
        "the window is a key short": ("length - window :", "length - window + 1 :"),
        "what is behind the scores has a weight": ("s % WIDE; s++) scores[s] = -INFINITY;", "s % WIDE; s++) (void)s;"),
        "values are kept where the first one's are": ("v_pages + slots[t]", "v_pages + slots[0]"),
        "keys are taken from rows as wide as the values'": ("k + t * k_stride", "k + t * v_stride"),
        "every text has the first one's blocks": ("{blocks + starts[t],", "{blocks,"),
        "heads share the first one's keys": (
            "rows + j * D, next + j * D, count, keys.step, D, scale",
            "rows, next, count, keys.step, D, scale",
        ),
    },
    "vectors.h": {
        "small weights wrap round": ("given < -87.0f", "given < -870.0f"),
        "NaN is made a number": ("(given == given)", "(given == given) | -1"),
        "a square leaves out what fills no vectors": ("all += x[i] * x[i];", "(void)i;"),
    },
    "panels.c": {
        "the last job of each thread's share is dropped": ("jobs * (thread + 1) / all;", "jobs / all * (thread + 1);"),
        "the columns of the last panel are left out": ("all - column < wide ? all - column", "all - column < wide ? 0"),
        "the rows of the last group are left out": (
            "first + span < n ? first + span : n",
            "first + span < n ? first + span : first",
        ),
        "spans of rows end before the rows do": ("/ spans + R - 1) / R * R;", "/ spans) / R * R;"),
        "every panel has the first one's bias": ("(m->bias + p * PANEL + v", "(m->bias + v"),
        "every row has the first one's root": ("to.scale[row]", "to.scale[0]"),
        "the floor is not squared": ("+ floor * floor", "+ floor"),
        "every row has the first one's total": ("to.total[row * all +", "to.total["),
        "rows are taken to lie side by side": ("x[n * stride + i]", "x[n * m->in + i]"),
        "a gate that shuts is open": (
            "choose(negative, small, (vec){0} + 1.0f)",
            "choose(negative, (vec){0} + 1.0f, small)",
        ),
        "a gate lets itself through": ("gate * up;", "gate * gate;"),
        "halves are cut off and not rounded": ("(bits + 0x7fff + (bits >> 16 & 1))", "bits"),
        "halves half way go up": ("0x7fff + (bits >> 16 & 1)", "0x8000"),
        "a row alone is summed from its other end": (
            "x[n * stride + i];",
            "x[n * stride + (N == 1 ? m->in - 1 - i : i)];",
            "(panel + v * LANES);",
            "(panel + (N == 1 ? (m->in - 1 - 2 * i) * PANEL : 0) + v * LANES);",
        ),
    },
    "turn.c": {
        "every token is turned as the first one": ("cos + row * step", "cos + 0 * step"),
        "the halves are turned by the same sine": ("(s + D / 2)", "s"),
        "a head's second half is turned after its first": ("+ before *", "+ *low *"),
    },
}


def rewrite(folder, monkeypatch, file, swaps):
    """A copy of the loops to be built, in which each text of `swaps` is replaced by the one behind it."""
    for source in loops.FOLDER.glob("*.[ch]"):
        shutil.copy(source, folder)
    text = (folder / file).read_text()
    for old, new in zip(swaps[::2], swaps[1::2], strict=True):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    (folder / file).write_text(text)
    monkeypatch.setattr(loops, "FOLDER", folder)


@built
@pytest.mark.parametrize("file, name", [(file, name) for file, faults in FAULTS.items() for name in faults])
def test_a_fault_in_the_loops_is_seen(file, name, nothing_built, monkeypatch, threads):
    if "halves" in name and no_halves:
        pytest.skip("a processor without bfloat16")
    if "thread" in name and not loops.library().is_threaded():
        pytest.skip("a compiler whose threads torch has not")
    rewrite(nothing_built, monkeypatch, file, FAULTS[file][name])
    loops.library.cache_clear()
    with pytest.raises(AssertionError):
        for count in (1, 3):
            test_rows_times_a_matrix_of_any_size(count, threads)
        for n in (1, 7):
            test_rows_that_are_normed_and_gated_on_the_way(n)
            test_heads_are_turned(n, 64, threads)
            if not no_halves:
                test_halves_are_what_torch_rounds_to(n, threads)
        test_a_row_has_the_same_bits_alone_and_in_any_company(threads)
        for shape in ((4, 2, 32, 16), (3, 1, 48, 1)):
            for window in (None, 5):
                test_queries_against_pages_anywhere(*shape, window, threads)
        test_keys_and_values_are_kept_in_their_slots()
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
        patch.setattr(compiled, "FEW_KEYS", 2)
        assert turn(text(24)[0], [5, 14, 5]) <= 1e-5 and not used
        for step in range(6):
            assert turn(text(3, seed=step)[0], [1, 1, 1]) <= 1e-5
        assert len(used) == 6 * model.config.num_layers
        for ours in tables:
            ours.append(ours[1].fork())
        assert turn(text(4, seed=7)[0], [1, 1, 1, 1]) <= 1e-5
        assert turn(text(11, seed=8)[0], [1, 6, 1, 3]) <= 1e-5
        assert len(used) == 8 * model.config.num_layers
        patch.undo()
        assert turn(text(40, seed=9)[0], [1, 20, 12, 7]) <= 1e-5


@built
def test_a_texts_scores_have_the_same_bits_in_any_company_and_any_pieces():
    """The bundled model: alone and whole, then in pieces beside others. Torch's own products differ in their last bits."""
    model, ids = ml.load_model("tiny"), text(300)[0] * 31 % 2000
    loop, (alone, crowd) = PagedLoop(model, "compiled"), (shuffled(model.new_paged_cache(99, 16), s) for s in (0, 1))
    whole = loop.step(ids[:230], alone.extend([alone.table()], [230]), torch.arange(230))
    tables, scores = [crowd.table() for _ in range(4)], []
    for start, stop in ((0, 101), (101, 102), (102, 229), (229, 230)):
        beside = torch.cat((ids[230:267], ids[start:stop], ids[267:268], ids[:3]))
        batch = crowd.extend(tables, [37, stop - start, 1, 3])
        scores.append(loop.step(beside, batch, torch.arange(37, 37 + stop - start)))
    assert torch.equal(torch.cat(scores), whole)


def _both(model, loop, caches, tables, ids, counts):
    got = loop.step(ids, caches[0].extend(tables[0], counts), torch.arange(len(ids)))
    with torch.no_grad():
        return relative(got, model(ids, caches[1].extend(tables[1], counts)))


@built
def test_quantised_pages_and_odd_heads_are_left_to_torch():
    model = Decoder(BASE)  # heads of 8
    cache = model.new_paged_cache(8, 4)
    assert not compiled.can_attend(cache.extend([cache.table()], [1]), BASE.num_heads)
    model = Decoder(WINDOWED)
    sizes = (WINDOWED.num_layers, 8, 4, WINDOWED.num_kv_heads, WINDOWED.head_dim)
    eight = QuantizedPagedCache(*sizes, stored="int8")
    assert not compiled.can_attend(eight.extend([eight.table()], [1]), WINDOWED.num_heads)
    logits = PagedLoop(model, "compiled").step(torch.tensor([3]), eight.extend([eight.table()], [1]))
    assert logits.isfinite().all()


@built
def test_what_the_loops_do_is_counted():
    x, weight = torch.randn(3, 32), torch.randn(64, 32)
    linear = compiled.Panels(weight, None)
    with ml.count() as c:
        linear(x)
    assert (c.flops, c.bytes_loaded, c.bytes_stored) == (2 * 3 * 32 * 64, weight.nbytes + x.nbytes, 3 * 64 * 4)


@pytest.fixture
def nothing_built(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(loops, "FLAGS", ("-O1", *loops.FLAGS[1:]))  # built in half the time
    for name in (loops.library, runs):
        name.cache_clear()
    yield tmp_path
    for name in (loops.library, runs):
        name.cache_clear()


@pytest.mark.parametrize("compiler", [None, "false", "no-such-compiler", "cc 'unclosed"])
def test_without_a_compiler_it_is_refused_and_auto_goes_on(compiler, nothing_built, monkeypatch):
    monkeypatch.setattr(loops.shutil, "which", lambda name: None)
    monkeypatch.delenv("CC", raising=False)
    if compiler is not None:
        monkeypatch.setenv("CC", compiler)
    with pytest.raises(Unsupported, match=r"need a C compiler .*use weights='auto'"):
        loops.library()
    with pytest.raises(Unsupported, match="need a C compiler"):
        PagedLoop(Decoder(BASE), "compiled")
    assert PlainDecoder(Decoder(BASE)).layout in LAYOUTS
    assert not list(nothing_built.rglob("*.so"))


@built
def test_a_compiler_without_threads_builds_loops_that_say_so(nothing_built, monkeypatch, threads):
    run = loops._run
    broken = lambda folder, *command: run(folder, "false") if "-fopenmp" in command else run(folder, *command)  # noqa: E731
    monkeypatch.setattr(loops, "_run", broken)
    threads(2)
    assert not uses_all_threads("compiled") and uses_all_threads("packed")
    test_rows_times_a_matrix_of_any_size(2, threads)
    threads(1)
    assert uses_all_threads("compiled")


@built
def test_an_older_compiler_has_another_word_for_it(nothing_built, monkeypatch, threads):
    """GCC before 12 knows no __builtin_shufflevector; Ubuntu 22.04 comes with GCC 11."""
    rewrite(nothing_built, monkeypatch, "vectors.h", ("|| __GNUC__ >= 12", ""))
    test_queries_against_pages_anywhere(4, 2, 32, 16, None, threads)


@built
def test_a_compiler_may_be_named_with_arguments_and_its_folder_from_here(nothing_built, monkeypatch):
    monkeypatch.setenv("CC", "cc -DNOTHING='of importance'")
    monkeypatch.chdir(nothing_built)
    monkeypatch.setenv("XDG_CACHE_HOME", "here")
    assert loops.library() and len(list((nothing_built / "here").rglob("*.so"))) == 1


@built
def test_it_is_built_once_and_kept(nothing_built, monkeypatch):
    made, run = [], loops._run
    monkeypatch.setattr(
        loops,
        "_run",
        lambda folder, *command: made.append(command) or run(folder, *command),
    )
    loops.library()
    assert (calls := len(made)) >= 2
    loops.library.cache_clear()
    loops.library()
    assert len(made) == calls and [p.suffix for p in (nothing_built / "minillm").iterdir()] == [".so"]
