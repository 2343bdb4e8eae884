"""What choosing a token promises, each as a check that takes a house (see sampling_mutants) and raises when it is broken.

The oracle is written from the definitions in Python floats: sort, cut, sum, invert.
"""

import math
import random
from types import SimpleNamespace

import torch

PLAIN = dict(
    temperature=1.0, top_k=None, top_p=1.0, min_p=0.0, presence_penalty=0.0, frequency_penalty=0.0, repetition_penalty=1.0
)  # fmt: skip


def params(**options):
    return SimpleNamespace(**(PLAIN | options))


def kept_by_definition(scores, rule):
    """scores, a list -> {id: probability} in order of id, and how near the closest decision was."""
    T, near = rule.temperature, 1.0
    odds = [math.exp((x - max(scores)) / T) for x in scores]
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    near = min([near, *(abs(o - rule.min_p) for o in odds if rule.min_p and o != 1)])
    order = [i for i in order if odds[i] >= rule.min_p][: rule.top_k]
    total, mass, kept = sum(odds[i] for i in order), 0.0, []
    for i in order:
        kept.append(i)
        mass += odds[i] / total
        near = min(near, abs(mass - rule.top_p)) if rule.top_p < 1 else near
        if mass >= rule.top_p and rule.top_p < 1:
            break
    total = sum(odds[i] for i in kept)
    return {i: odds[i] / total for i in sorted(kept)}, near


def random_rule(rng):
    return params(
        temperature=rng.choice((0.3, 0.7, 1.0, 1.0, 2.5)),
        top_k=rng.choice((None, None, 1, 2, 3, 7, 500)),
        top_p=rng.choice((1.0, 1.0, 1e-9, 0.2, 0.5, 0.9, 0.999)),
        min_p=rng.choice((0.0, 0.0, 1e-12, 0.05, 0.4, 1.0)),
    )


def every_kept_token_is_drawn_in_its_place_and_no_other(house):
    """The noise in the middle of each token's share of the line, for all tokens that the definitions keep."""
    rng, seen = random.Random(0), 0
    for _ in range(300):
        V = rng.choice((1, 2, 5, 30))
        scores = [rng.choice((rng.gauss(0, 2), 1.0, 0.5)) for _ in range(V)]  # many are equal
        rule = random_rule(rng)
        want, near = kept_by_definition(scores, rule)
        if near < 1e-4:
            continue
        start, noises = 0.0, {}
        for token, share in want.items():
            noises[token] = start + share / 2
            start += share
        noises = {token: noise for token, noise in noises.items() if want[token] > 1e-5}
        rows = torch.tensor([scores] * len(noises))
        got = house.choose_tokens(rows, [house.Choice(rule, noise) for noise in noises.values()])
        assert got == list(noises), (scores, rule, want, got)
        shown = house.next_token_probabilities(rows[0], rule.temperature, rule.top_k, rule.top_p, rule.min_p)
        assert shown.nonzero()[:, 0].tolist() == list(want), (scores, rule)
        assert torch.allclose(shown[list(want)], torch.tensor(list(want.values())), atol=1e-5)
        seen += 1
    assert seen > 200


def equal_scores_go_by_id(house):
    flat = torch.zeros(8)
    for options, kept in (
        (dict(top_k=3), [0, 1, 2]),
        (dict(top_p=0.5), [0, 1, 2, 3]),
        (dict(top_p=0.5 + 1e-6), [0, 1, 2, 3, 4]),
        (dict(top_k=4, top_p=0.5), [0, 1]),
        (dict(min_p=1.0), list(range(8))),
        (dict(top_p=1e-300), [0]),
    ):
        shown = house.next_token_probabilities(flat, **options)
        assert shown.nonzero()[:, 0].tolist() == kept, options
        drawn = house.choose_tokens(
            flat.expand(64, 8), [house.Choice(params(**options), (i + 0.5) / 64) for i in range(64)]
        )
        assert sorted(set(drawn)) == kept, options
    assert house.choose_tokens(torch.tensor([[1.0, 5.0, 5.0]]), [house.Choice(params(temperature=0))]) == [1]


def greedy_is_the_best_token_in_all_digits(house):
    rows = torch.tensor([[1.0, 1.0 + 1e-12, 0.0]], dtype=torch.float64)
    for options in (dict(temperature=0), dict(top_k=1), dict(temperature=0, top_p=0.1, min_p=0.5)):
        assert house.choose_tokens(rows, [house.Choice(params(**options), 0.999)]) == [1]


def the_noise_at_its_ends_draws_what_is_there(house):
    rows = torch.tensor([[-200.0, 1.0, 1.0, -200.0, -torch.inf]])
    for noise, want in ((0.0, 1), (1 - 2.0**-53, 2)):
        for options in ({}, dict(top_k=2), dict(top_p=0.99), dict(min_p=0.1)):
            assert house.choose_tokens(rows, [house.Choice(params(**options), noise)]) == [want], (noise, options)


def extreme_scores_and_temperatures_have_limits(house):
    rows = torch.tensor([[1e30, -1e30, 5.0, -torch.inf]])
    for T in (1e-300, 1e-6, 1.0, 1e6):
        assert house.choose_tokens(rows, [house.Choice(params(temperature=T), 0.7)]) == [0], T
    rows = torch.tensor([[3.0, -2.0, 0.0, -torch.inf]])
    drawn = house.choose_tokens(
        rows.expand(30, 4), [house.Choice(params(temperature=1e300), (i + 0.5) / 30) for i in range(30)]
    )
    assert [drawn.count(token) for token in range(4)] == [10, 10, 10, 0]


def a_row_is_chosen_alone_as_in_company(house):
    rng = random.Random(2)
    rows = torch.randn(48, 1001, generator=torch.Generator().manual_seed(4)) * 3
    choices = []
    for row in range(48):
        rule = random_rule(rng)
        if row % 3 == 0:
            rule.repetition_penalty, rule.presence_penalty = 1.3, 0.5
        banned = (int(rows[row].argmax()),) if row % 5 == 0 else ()
        choices.append(house.Choice(rule, rng.random(), [rng.randrange(1001)], [rng.randrange(1001)], banned))
    alone = [house.choose_tokens(rows[b : b + 1], [choices[b]])[0] for b in range(48)]
    assert house.choose_tokens(rows, choices) == alone
    order = rng.sample(range(48), 48)
    assert house.choose_tokens(rows[order], [choices[b] for b in order]) == [alone[b] for b in order]
    few = order[:5]
    assert house.choose_tokens(rows[few], [choices[b] for b in few]) == [alone[b] for b in few]


def a_large_vocabulary_is_cut_where_the_definition_cuts(house):
    """Flat and peaked rows together, so many that the search for a floor runs."""
    random_rows = torch.randn(3, 20_011, generator=torch.Generator().manual_seed(1))
    rows = random_rows * torch.tensor([[0.02], [1.0], [6.0]])
    for top_p in (0.1, 0.5, 0.97):
        shown = house.next_token_probabilities(rows, top_p=top_p)
        for row, got in zip(rows.double(), shown, strict=True):
            mass, order = row.softmax(-1).sort(descending=True, stable=True)
            count = int((mass.cumsum(-1) < top_p).sum()) + 1
            assert abs(int((got > 0).sum()) - count) <= 1e-5 * count + 1
            inside = order[: max(1, count - 3)]
            assert (got[inside] > 0).all()
    rules = [params(top_p=0.5), params(top_k=40), params()]
    drawn = house.choose_tokens(rows, [house.Choice(rule, 0.4) for rule in rules])
    assert drawn == [house.choose_tokens(rows[b : b + 1], [house.Choice(rules[b], 0.4)])[0] for b in range(3)]


def draws_have_the_probabilities(house):
    scores = torch.tensor([2.0, -1.0, 0.5, 0.5, 3.0, -4.0])
    draws = 12_000
    noises = [house.uniform_noise(3, 0, position) for position in range(draws)]
    for options in (dict(temperature=0.8), dict(temperature=1.4, top_k=4), dict(top_p=0.95), dict(min_p=0.06)):
        drawn = house.choose_tokens(scores.expand(draws, 6), [house.Choice(params(**options), n) for n in noises])
        want, _ = kept_by_definition(scores.tolist(), params(**options))
        counts = {token: drawn.count(token) for token in set(drawn)}
        assert set(counts) <= set(want)
        squares = sum((counts.get(t, 0) - draws * p) ** 2 / (draws * p) for t, p in want.items())
        assert squares < 20.5, (options, squares)  # at most 5 degrees of freedom, one in a thousand


def penalised_by_definition(scores, rule, prompt, output, banned):
    scores = [-math.inf if token in banned else score for token, score in enumerate(scores)]
    for token in {*prompt, *output}:
        r = rule.repetition_penalty
        scores[token] = scores[token] / r if scores[token] > 0 else scores[token] * r
    for token in set(output):
        scores[token] -= rule.presence_penalty + rule.frequency_penalty * output.count(token)
    return scores


def penalties_follow_their_definitions(house):
    rng, greedy = random.Random(7), 0
    for _ in range(200):
        V = 12
        scores = [rng.gauss(0, 1) for _ in range(V)]
        prompt, output = ([rng.randrange(V) for _ in range(rng.randrange(8))] for _ in range(2))
        rule = params(
            temperature=rng.choice((0, 0.5)), repetition_penalty=rng.choice((1.0, 0.6, 1.8)),
            presence_penalty=rng.choice((0.0, -1.0, 0.7)), frequency_penalty=rng.choice((0.0, -0.5, 0.4)),
        )  # fmt: skip
        banned = rng.sample(range(V), rng.randrange(4))
        want = penalised_by_definition(scores, rule, prompt, output, banned)
        logits = torch.tensor([scores] * 2, dtype=torch.float64)
        before, noise = logits.clone(), rng.random()
        choices = [house.Choice(params(temperature=0)), house.Choice(rule, noise, prompt, output, banned)]
        got = house.choose_tokens(logits, choices)
        assert torch.equal(logits, before), "the model's scores were written over"
        assert got[0] == scores.index(max(scores))
        twin = house.choose_tokens(
            torch.tensor([want], dtype=torch.float64), [house.Choice(params(temperature=rule.temperature), noise)]
        )
        assert got[1] == twin[0], (scores, rule, prompt, output, banned)
        greedy += rule.temperature == 0
    assert 50 < greedy < 150


def counts_that_grow_are_counts_from_nothing(house):
    """Also after a text was cut back and went on another way, near its end or far from it."""
    rng = random.Random(3)
    counts, output = house.TokenCounts([1, 2, 2]), []
    for step in range(300):
        if step % 7 == 3:
            del output[max(0, len(output) - rng.randrange(6)) :]
        if step == 250:
            output[5:] = [rng.randrange(40) for _ in output[5:]]
        output += [rng.randrange(40) for _ in range(rng.randrange(3))]
        follower = counts.follow(tuple(output) if step % 2 else output)
        assert follower is counts
        said = {t: n for t, n in zip(counts.ids.tolist(), counts.in_output.tolist(), strict=True) if n}
        assert said == {t: output.count(t) for t in set(output)}
        assert sorted(counts.ids.tolist()) == sorted({1, 2, *output}), "a token that was taken back is none of the text"


def logprobs_are_the_models_own(house):
    rows = torch.tensor([[1.0, 3.0, 3.0, -2.0, 0.0], [0.0, 0.0, 0.0, 0.0, 0.0], [9.0, 1.0, 2.0, 3.0, 4.0]])
    exact = rows.double().log_softmax(-1)
    for k, want in (
        (0, [[3], [4], [0]]),
        (1, [[1, 3], [0, 4], [0]]),
        (2, [[1, 2, 3], [0, 1, 4], [0, 4]]),
        (99, [[1, 2, 0, 4, 3], [0, 1, 2, 3, 4], [0, 4, 3, 2, 1]]),
    ):
        got = house.token_logprobs(rows, [3, 4, 0], k)
        assert [list(row) for row in got] == want, k
        for row, values in enumerate(got):
            assert all(abs(value - exact[row, token]) < 1e-6 for token, value in values.items())
    assert house.token_logprobs(rows[1:2], [4], 2) == house.token_logprobs(rows, [3, 4, 0], 2)[1:2]


def rows_without_a_best_score_are_named(house):
    rows = torch.zeros(5, 4)
    rows[1, 2], rows[3, 0] = float("nan"), torch.inf
    choices = [house.Choice(params(temperature=T), 0.5, banned=b) for T, b in zip((0, 1, 0, 1, 0), ((), (), (), (), range(4)), strict=True)]  # fmt: skip
    try:
        house.choose_tokens(rows, choices)
    except house.UnusableScores as error:
        assert error.rows == (1, 3, 4)
    else:
        raise AssertionError("a token was chosen by a score that is no number")


def scores_of_sixteen_bits_are_widened(house):
    rows = torch.randn(80, 64, generator=torch.Generator().manual_seed(2)).to(torch.bfloat16)
    rule = params(temperature=0.7, repetition_penalty=1.17, top_p=0.9)
    choices = [house.Choice(rule, (i + 0.5) / 80, [1, 2, 3], [4]) for i in range(80)]
    assert house.choose_tokens(rows, choices) == house.choose_tokens(rows.float(), choices)


CHECKS = {
    check.__name__: check
    for check in (
        every_kept_token_is_drawn_in_its_place_and_no_other,
        equal_scores_go_by_id,
        greedy_is_the_best_token_in_all_digits,
        the_noise_at_its_ends_draws_what_is_there,
        extreme_scores_and_temperatures_have_limits,
        a_row_is_chosen_alone_as_in_company,
        a_large_vocabulary_is_cut_where_the_definition_cuts,
        draws_have_the_probabilities,
        penalties_follow_their_definitions,
        counts_that_grow_are_counts_from_nothing,
        logprobs_are_the_models_own,
        rows_without_a_best_score_are_named,
        scores_of_sixteen_bits_are_widened,
    )
}
