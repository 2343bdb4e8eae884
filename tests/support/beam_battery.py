"""What beam search promises, each as a check that takes a house (see decoding_mutants) and raises when it is broken.

Two oracles: every text there is, scored and sorted; and the rules once more with lists, over a model that reads each text anew.
"""

import itertools
import random

import torch
from cached_texts import FAMILIES, decoder, text

from minillm.cache.block_pool import OutOfBlocks
from minillm.cache.paged import PagedCache
from minillm.errors import InvalidType, InvalidValue


def table_model(V, seed, ties=False):
    """A function texts -> logits (R, V) where each text has numbers of its own, whole ones if `ties`."""

    def next_logits(texts):
        rows = []
        for ids in texts:
            rng = random.Random(f"{seed}/{ids}")
            rows.append([float(rng.randrange(3)) if ties else rng.gauss(0, 1.5) for _ in range(V)])
        return torch.tensor(rows, dtype=torch.float64)

    return next_logits


def logprob_of(next_logits, ids):
    return sum(float(next_logits([ids[:i]])[0].log_softmax(-1)[token]) for i, token in enumerate(ids))


def every_text(V, max_tokens, stops):
    for length in range(1, max_tokens + 1):
        for ids in itertools.product(range(V), repeat=length):
            if not set(ids[:-1]) & set(stops) and (ids[-1] in stops or length == max_tokens):
                yield ids


def by_lists(next_logits, W, max_tokens, penalty, stops):
    """The rules as they are said, with everything recomputed at every step -> [(token_ids, score)], the best first."""
    live, finished = [((), 0.0)], []
    while live:
        grown = []
        for parent, (ids, total) in enumerate(live):
            logprobs = next_logits([ids])[0].double().log_softmax(-1).tolist()
            for token, logprob in sorted(enumerate(logprobs), key=lambda one: (-one[1], one[0])):
                if logprob > float("-inf"):
                    grown.append((-(total + logprob), parent, (*ids, token)))
        grown.sort(key=lambda one: one[:1])
        live = []
        for negative, _, ids in grown:
            if len(live) == W:
                break
            if ids[-1] in stops:
                finished.append((ids, -negative / len(ids) ** penalty))
            else:
                live.append((ids, -negative))
        if live and len(live[0][0]) == max_tokens:
            finished += [(ids, total / len(ids) ** penalty) for ids, total in live]
            live = []
        finished = sorted(finished, key=lambda one: -one[1])[:W]
        if len(finished) == W:
            live = []
    return finished


def same(got, want):
    assert [h.token_ids for h in got] == [ids for ids, _ in want], (got, want)
    assert all(abs(h.score - score) < 1e-9 for h, (_, score) in zip(got, want, strict=True))


def a_beam_as_wide_as_all_texts_finds_the_best(house):
    for seed, V, max_tokens, penalty, stops in (
        (0, 3, 4, 1.0, (0,)), (1, 4, 3, 0.0, (2,)), (2, 3, 4, 0.6, ()), (3, 4, 3, 2.0, (1, 3)), (4, 2, 5, -1.0, (1,)),
    ):  # fmt: skip
        model = table_model(V, seed)
        all_texts = [(ids, logprob_of(model, ids)) for ids in every_text(V, max_tokens, stops)]
        ranked = sorted(((ids, total / len(ids) ** penalty) for ids, total in all_texts), key=lambda one: -one[1])
        got = house.search_beams(model, house.BeamRules(len(ranked), max_tokens, penalty, stops))
        same(got, ranked)
        for one in got:
            assert abs(one.logprob - logprob_of(model, one.token_ids)) < 1e-9
            assert one.finish_reason == ("stop" if one.token_ids[-1] in stops else "length")


def a_beam_of_one_is_greedy(house):
    for seed in range(30):
        model, stops = table_model(5, seed), (1, 4) if seed % 3 else ()
        ids = ()
        while len(ids) < 6 and not (ids and ids[-1] in stops):
            ids = (*ids, int(model([ids])[0].argmax()))
        [one] = house.search_beams(model, house.BeamRules(1, 6, seed % 4 - 1, stops))
        assert one.token_ids == ids


def any_width_follows_the_rules(house):
    rng = random.Random(5)
    for seed in range(80):
        V, W, length = rng.randrange(2, 8), rng.randrange(1, 6), rng.randrange(1, 6)
        stops, penalty = tuple(rng.sample(range(V), rng.randrange(3))), rng.choice((0.0, 0.5, 1.0, 1.7))
        model = table_model(V, seed)
        same(
            house.search_beams(model, house.BeamRules(W, length, penalty, stops)),
            by_lists(model, W, length, penalty, stops),
        )


def equal_sums_go_by_beam_and_then_by_id(house):
    flat = lambda texts: torch.zeros(len(texts), 4)  # noqa: E731
    got = house.search_beams(flat, house.BeamRules(3, 2, 1.0, ()))
    assert [h.token_ids for h in got] == [(0, 0), (0, 1), (0, 2)]
    got = house.search_beams(flat, house.BeamRules(3, 3, 0.0, (2,)))
    # (2,) finishes on the way to the third live beam, and nothing longer is more probable.
    assert got[0].token_ids == (2,)
    for seed in range(20):
        model = table_model(4, seed, ties=True)
        same(house.search_beams(model, house.BeamRules(3, 3, 1.0, (0,))), by_lists(model, 3, 3, 1.0, (0,)))


def what_cannot_come_is_no_continuation(house):
    def model(texts):
        rows = torch.full((len(texts), 4), -torch.inf)
        rows[:, 2] = 0.0
        return rows

    got = house.search_beams(model, house.BeamRules(3, 3, 1.0, ()))
    assert [h.token_ids for h in got] == [(2, 2, 2)]


def a_step_says_whom_to_copy(house):
    rules = house.BeamRules(2, 9, 1.0, (7,))
    state = house.BeamState((house.Beam((5,), -1.0), house.Beam((6,), -1.5)))
    continuations = [[(3, -2.0), (7, -2.1), (4, -9.0)], [(1, -0.5), (2, -3.0), (7, -4.0)]]
    step = house.advance(state, continuations, rules)
    assert (step.parents, step.tokens) == ([1, 0], [1, 3])
    assert step.state.live == (house.Beam((6, 1), -2.0), house.Beam((5, 3), -3.0))
    assert step.state.finished == () and state.live[0].token_ids == (5,)
    step = house.advance(step.state, [[(7, -0.1), (1, -0.2), (2, -0.3)], [(7, -0.1), (1, -5.0), (2, -6.0)]], rules)
    assert [h.token_ids for h in step.state.finished] == [(6, 1, 7)] and step.parents == [0, 0]
    assert step.state.finished[0].score == (-2.0 - 0.1) / 3


def rules_refuse_what_means_nothing(house):
    for options, error in (
        (dict(width=0), InvalidValue), (dict(width=1.5), InvalidType), (dict(max_tokens=0), InvalidValue),
        (dict(max_tokens=True), InvalidType), (dict(length_penalty=float("nan")), InvalidValue),
        (dict(length_penalty=1e9), InvalidValue), (dict(length_penalty="1"), InvalidType),
        (dict(stop_token_ids=3), InvalidType), (dict(stop_token_ids="ab"), InvalidType),
        (dict(stop_token_ids=(-1,)), InvalidValue), (dict(stop_token_ids=(0.5,)), InvalidType),
    ):  # fmt: skip
        try:
            house.BeamRules(**options)
        except error:
            continue
        raise AssertionError(f"{options} was accepted")
    assert house.BeamRules(stop_token_ids=iter([3, 3])).stop_token_ids == (3,)


def cache_for(model, num_blocks, block_size):
    c = model.config
    sizes = (c.num_layers, num_blocks, block_size, c.num_kv_heads, c.head_dim)
    return PagedCache(*sizes, dtype=model.dtype, check=True)


def paged_beams_are_those_that_recompute_everything(house):
    """Prompts of different lengths in one search, ends met at different times, blocks poisoned when they are given back."""
    for name, block_size, W, stops, tokens_a_pass in (
        ("llama", 4, 3, (1, 2, 3, 5, 8, 13, 21, 34), 2048), ("qwen3 window", 3, 4, (), 7), ("mistral", 1, 2, tuple(range(25)), 5),
        ("qwen2", 16, 5, (7, 9), 2048),
    ):  # fmt: skip
        assert name in FAMILIES
        model = decoder(name)
        prompts = [text(n, seed=n)[0].tolist() for n in (9, 1, 5, 8)]
        cache = cache_for(model, 300, block_size)
        before, house.beams.TOKENS_A_PASS = house.beams.TOKENS_A_PASS, tokens_a_pass
        try:
            got = house.beam_search(
                model, cache, prompts, beam_width=W, max_tokens=6, length_penalty=0.8, stop_token_ids=stops
            )
        finally:
            house.beams.TOKENS_A_PASS = before
        for prompt, hypotheses in zip(prompts, got, strict=True):

            def naive(texts, prompt=prompt, model=model):
                return torch.stack([model(torch.tensor([[*prompt, *ids]]))[0, -1] for ids in texts])

            same(hypotheses, by_lists(naive, W, 6, 0.8, stops))
        assert cache.pool.num_used == 0, "blocks were not given back"


def beams_share_the_blocks_of_their_beginning(house):
    model, prompt = decoder("llama"), text(16)[0].tolist()
    cache = cache_for(model, 60, 4)
    with house.BeamSearch(model, cache, [prompt], house.BeamRules(4, 8)) as search:
        search.step()
        assert cache.pool.num_used == 4, "choosing four beams takes no block"
        search.step()
        assert [table.block_ids[:4] for table in search.tables[0]] == [search.tables[0][0].block_ids[:4]] * 4
        assert cache.pool.num_used <= 4 + 4
        while not search.is_done:
            cache.pool.check([table.block_ids for table in search.tables[0]])
            search.step()
    assert cache.pool.num_used == 0
    cache.pool.check([])


def a_search_that_is_left_is_over(house):
    """It keeps what it found, and has no beam that could go on without its blocks."""
    model, prompts = decoder("llama"), [text(9)[0].tolist(), text(5, seed=1)[0].tolist()]
    cache = cache_for(model, 60, 4)
    with house.BeamSearch(model, cache, prompts, house.BeamRules(3, 8, 1.0, tuple(range(30)))) as search:
        for _ in range(2):
            search.step()
        assert not search.is_done and any(search.hypotheses)
        found = search.hypotheses
    assert search.is_done and search.hypotheses == found and search.tables == [[], []]
    assert cache.pool.num_used == 0


def a_pool_that_runs_out_is_refused_with_nothing_leaked(house):
    model = decoder("llama")
    prompts = [text(9)[0].tolist(), text(5, seed=1)[0].tolist()]
    seen = set()
    for num_blocks in range(1, 30):
        cache = cache_for(model, num_blocks, 3)
        kept = cache.table()
        kept.append(1)
        try:
            house.beam_search(model, cache, prompts, beam_width=3, max_tokens=7)
            seen.add("fits")
        except OutOfBlocks:
            seen.add("refused")
        assert cache.pool.num_used == 1
        cache.pool.check([kept.block_ids])
    assert seen == {"fits", "refused"}


def odd_calls_are_refused_before_any_work(house):
    model = decoder("llama")
    cache = cache_for(model, 40, 4)
    room, V = model.config.max_position_embeddings, model.config.vocab_size
    for prompts, options, error in (
        ([], {}, InvalidValue), ([[]], {}, InvalidValue), ("ab", {}, InvalidType), (3, {}, InvalidType), ([3], {}, InvalidType),
        ([[V]], {}, InvalidValue), ([[-1]], {}, InvalidValue), ([["a"]], {}, InvalidType), ([[1] * room], {}, InvalidValue),
        ([[1]], dict(max_tokens=room + 1), InvalidValue), ([[1]], dict(beam_width=0), InvalidValue),
        ([[1]], dict(length_penalty=None), InvalidType), ([[1]], dict(stop_token_ids=[-3]), InvalidValue),
    ):  # fmt: skip
        try:
            house.beam_search(model, cache, prompts, **options)
        except error:
            assert cache.pool.num_used == 0
            continue
        raise AssertionError(f"{prompts!r:.40} with {options} was accepted")
    for other, error in ((cache_for(decoder("llama mqa"), 4, 4), InvalidValue), (model.new_cache(1, 9), InvalidType)):
        try:
            house.beam_search(model, other, [[1]])
        except error:
            continue
        except Exception as crash:
            raise AssertionError("a cache of another kind was written to") from crash
        raise AssertionError("a cache of another kind was accepted")
    [[one]] = house.beam_search(model, cache, [[1] * room], beam_width=1, max_tokens=1)
    assert len(one.token_ids) == 1


CHECKS = {
    check.__name__: check
    for check in (
        a_beam_as_wide_as_all_texts_finds_the_best,
        a_beam_of_one_is_greedy,
        any_width_follows_the_rules,
        equal_sums_go_by_beam_and_then_by_id,
        what_cannot_come_is_no_continuation,
        a_step_says_whom_to_copy,
        rules_refuse_what_means_nothing,
        paged_beams_are_those_that_recompute_everything,
        beams_share_the_blocks_of_their_beginning,
        a_search_that_is_left_is_over,
        a_pool_that_runs_out_is_refused_with_nothing_leaked,
        odd_calls_are_refused_before_any_work,
    )
}
