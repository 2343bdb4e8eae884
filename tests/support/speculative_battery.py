"""What the rules of speculation promise, each as a check that takes the rules' module and raises when it is broken."""

import itertools
import random

import torch

from minillm.errors import InvalidType, InvalidValue

# Four tokens, two drafts: p and q disagree, one q excludes a token that p likes, and p excludes one that q likes.
P = torch.tensor([[0.1, 0.2, 0.3, 0.4], [0.5, 0.5, 0.0, 0.0], [0.25, 0.0, 0.25, 0.5]])
Q = torch.tensor([[0.4, 0.3, 0.2, 0.1], [0.3, 0.0, 0.7, 0.0]])


class CountedToken(int):
    """A token that counts how often anybody asks about it."""

    asked = 0

    def __eq__(self, other):
        CountedToken.asked += 1
        return int(self) == int(other)

    def __hash__(self):
        CountedToken.asked += 1
        return int.__hash__(self)


def by_brute_force(text, k, max_ngram, min_ngram):
    """The rule as it is said: every length from the longest down, every place from the latest back."""
    for n in range(max_ngram, min_ngram - 1, -1):
        for start in range(len(text) - n - 1, -1, -1):
            if text[start : start + n] == text[len(text) - n :]:
                grown = list(text)
                for i in range(k):
                    grown.append(grown[start + n + i])
                return grown[len(text) :]
    return []


def look_up_finds_what_brute_force_finds(rules):
    rng = random.Random(0)
    for _ in range(800):
        text = [rng.randrange(rng.choice((2, 3, 6))) for _ in range(rng.randrange(24))]
        low = rng.randrange(1, 4)
        high, k = rng.randrange(low, 6), rng.randrange(7)
        want = by_brute_force(text, k, high, low)
        assert rules.ngram_proposal(text, k, high, low) == want, (text, k, high, low, want)


def an_index_that_grew_proposes_as_a_new_one(rules):
    rng = random.Random(1)
    index, text = rules.NgramIndex(4, 2), []
    for _ in range(200):
        more = [rng.randrange(3) for _ in range(rng.randrange(4))]
        index.extend(more)
        text += more
        assert index.propose(5) == rules.ngram_proposal(text, 5, 4, 2)
        assert index.token_ids == text


def a_token_costs_the_same_in_a_long_text(rules):
    costs = []
    for length in (50, 300):
        rng = random.Random(2)
        index = rules.NgramIndex(3, 1)
        index.extend([CountedToken(rng.randrange(2)) for _ in range(length)])
        CountedToken.asked = 0
        for _ in range(50):
            index.extend([CountedToken(rng.randrange(2))])
            index.propose(4)
        costs.append(CountedToken.asked / 50)
    # Three n-grams entered and three looked up, of six tokens each way, asked for their hashes and compared.
    assert max(costs) <= 24, costs


def look_up_refuses_odd_sizes(rules):
    for bad in ((1, 0), (0, 1), (1, 2)):
        _refused(InvalidValue, lambda bad=bad: rules.NgramIndex(*bad))
    _refused(InvalidValue, lambda: rules.ngram_proposal([1, 1], -1))
    _refused(InvalidType, lambda: rules.ngram_proposal([1, 1], 1.0))


def drafts_are_kept_up_to_the_first_that_differs(rules):
    for k in range(4):
        for chosen in itertools.product(range(3), repeat=k + 1):
            for drafts in itertools.product(range(3), repeat=k):
                want = [chosen[0]]
                while len(want) <= k and drafts[len(want) - 1] == want[-1]:
                    want.append(chosen[len(want)])
                assert rules.accept_same_noise(list(drafts), list(chosen)) == want
    _refused(InvalidValue, lambda: rules.accept_same_noise([1], [1]))


def chi_squared(counts, odds):
    """How far counts {outcome: n} are from `odds` {outcome: p}; an outcome with no odds is infinitely far, and so is nothing."""
    total = sum(counts.values())
    if not total or any(odds.get(outcome, 0) == 0 for outcome in counts):
        return float("inf")
    return sum((counts.get(o, 0) - total * p) ** 2 / (total * p) for o, p in odds.items() if p > 0)


def texts_are_distributed_as_the_targets(rules):
    """Pairs of tokens against p itself, whichever of them were drafts, and the bonus against its own row."""
    rng, pairs, bonus, draws = random.Random(3), {}, {}, 4_000
    for _ in range(draws):
        drafts = [rules.draw(q, rng.random()) for q in Q]
        out = rules.rejection_sample(P, Q, drafts, [rng.random() for _ in range(3)])
        # A text cut short is written on by p, as the next pass would.
        text = [*out, *(rules.draw(P[i], rng.random()) for i in range(len(out), 2))]
        pairs[tuple(text[:2])] = pairs.get(tuple(text[:2]), 0) + 1
        if len(out) == 3:
            bonus[out[2]] = bonus.get(out[2], 0) + 1
    odds = {(a, b): float(P[0, a] * P[1, b]) for a in range(4) for b in range(4)}
    # 7 degrees of freedom and 2, one in a thousand.
    assert chi_squared(pairs, odds) < 24.3, chi_squared(pairs, odds)
    assert chi_squared(bonus, dict(enumerate(P[2].tolist()))) < 13.8, bonus


def a_draft_is_kept_as_often_as_p_and_q_overlap(rules):
    rng, draws = random.Random(4), 3_000
    kept = sum(
        rules.rejection_sample(P[:2], Q[:1], [draft], [rng.random(), rng.random()])[1:] != []
        for draft in (rules.draw(Q[0], rng.random()) for _ in range(draws))
    )
    overlap = float(torch.minimum(P[0], Q[0]).sum())
    assert abs(kept / draws - overlap) < 4 * (overlap * (1 - overlap) / draws) ** 0.5


def certain_targets_give_the_greedy_text(rules):
    V, eye = 5, torch.eye(5)
    rng = random.Random(5)
    for _ in range(300):
        k = rng.randrange(4)
        best = [rng.randrange(V) for _ in range(k + 1)]
        q = torch.rand(k, V, generator=torch.Generator().manual_seed(rng.randrange(99))) + 0.01
        drafts = [rng.randrange(V) for _ in range(k)]
        out = rules.rejection_sample(
            eye[best], q / q.sum(-1, keepdim=True), drafts, [rng.random() for _ in range(k + 1)]
        )
        assert out == rules.accept_same_noise(drafts, best)


def equal_models_keep_every_draft(rules):
    for noise in (0.0, 0.5, 1 - 2**-53):
        out = rules.rejection_sample(P, P[:2], [3, 1], [noise] * 3)
        assert out[:2] == [3, 1] and len(out) == 3


def verdicts_do_not_choose_the_token(rules):
    """The noise that spoke a verdict is not drawn with, and each noise has one use."""
    p, q = P[:2], Q[:1]
    for verdict in (0.3, 0.6, 0.9):
        # Draft 0 has p / q = 1/4, so each of these rejects it; the surplus is {2: .1, 3: .3}.
        assert rules.rejection_sample(p, q, [0], [verdict, 0.1]) == [2]
        assert rules.rejection_sample(p, q, [0], [verdict, 0.9]) == [3]
    assert rules.rejection_sample(p, q, [0], [0.2, 0.9]) == [0, 1]
    p, q = torch.tensor([[0.5, 0.5], [0.25, 0.75], [1.0, 0.0]]), torch.tensor([[0.5, 0.5], [0.5, 0.5]])
    assert rules.rejection_sample(p, q, [0, 0], [0.9, 0.2, 0.5]) == [0, 0, 0]
    assert rules.rejection_sample(p, q, [0, 0], [0.2, 0.9, 0.5]) == [0, 1]


def samplers_refuse_what_does_not_fit(rules):
    noises = [0.5] * 3
    for bad in (
        (P[:2], Q, [0, 0], noises),
        (P, Q[:1], [0, 0], noises),
        (P, Q, [0], noises),
        (P, Q, [0, 0], noises[:2]),
        (P[:, :3], Q, [0, 0], noises),
        (P[0], Q, [0, 0], noises),
        (P, Q, [0, 4], noises),
        (P, Q, [0, -1], noises),
        (P, Q, [0, 1], [0.0, 0.0, 0.0]),
    ):
        _refused(InvalidValue, lambda bad=bad: rules.rejection_sample(*bad))


def blurred_guesses_lie_between_the_draw_and_the_best(rules):
    rng = random.Random(7)
    noises = [rng.random() for _ in range(200)] + [0.0, 1 - 2**-53]
    odds = torch.rand(len(noises), 9, generator=torch.Generator().manual_seed(7), dtype=torch.float64) ** 3
    odds[:, 4] = 0
    odds /= odds.sum(dim=-1, keepdim=True)
    sharp = rules.likely_choices(odds, noises, 1e-6)
    drawn = [rules.draw(row, noise) for row, noise in zip(odds, noises, strict=True)]
    assert sharp[:200] == drawn[:200] and sharp[-2:] == drawn[-2:]
    assert rules.likely_choices(odds, noises, 1e3) == odds.argmax(dim=-1).tolist()
    middle = rules.likely_choices(odds, noises, 0.15)
    assert middle != sharp and middle != odds.argmax(dim=-1).tolist()
    assert middle == [rules.likely_choices(odds[i : i + 1], noises[i : i + 1], 0.15)[0] for i in range(len(noises))]
    certain = torch.eye(9)[[4] * 3]
    assert rules.likely_choices(certain, [0.0, 0.5, 0.99], 0.15) == [4] * 3


def similar_targets_draw_the_blurred_guess_more_often(rules):
    """Targets are drafts with their log-probabilities shaken; at this distance both the draw and the best token do worse."""
    shaken = torch.Generator().manual_seed(8)
    q = (2.5 * torch.randn(1500, 40, generator=shaken)).softmax(-1)
    p = (q.log() + 1.2 * torch.randn(q.shape, generator=shaken)).softmax(-1)
    noises = torch.rand(len(q), generator=shaken).tolist()
    target = [rules.draw(row, noise) for row, noise in zip(p, noises, strict=True)]

    def right(guesses):
        return sum(a == b for a, b in zip(guesses, target, strict=True)) / len(target)

    blurred, drawn = (right(rules.likely_choices(q, noises, blur)) for blur in (0.15, 1e-4))
    best = right(q.argmax(dim=-1).tolist())
    assert blurred > max(drawn, best) + 0.02, (blurred, drawn, best)


def the_ends_of_the_noise_draw_only_what_has_weight(rules):
    weights = torch.tensor([0.0, 0.3, 0.7, 0.0])
    assert rules.draw(weights, 0.0) == 1 and rules.draw(weights, 1 - 2**-53) == 2


def expected_tokens_are_those_of_a_simulation(rules):
    rng = random.Random(6)
    for a, k in ((0.0, 3), (0.3, 2), (0.8, 5), (1.0, 4), (0.5, 0)):
        total = 0
        for _ in range(4000):
            total += 1 + next((i for i in range(k) if rng.random() >= a), k)
        assert abs(total / 4000 - rules.expected_tokens(a, k)) < 0.1, (a, k)
    _refused(InvalidValue, lambda: rules.expected_tokens(1.1, 2))
    _refused(InvalidType, lambda: rules.expected_tokens("half", 2))


def the_price_is_counted(rules):
    # Leviathan et al.'s own form, the ridge out of reach.
    for a, k, c in ((0.8, 5, 0.1), (0.5, 2, 0.0), (0.9, 7, 0.02)):
        assert abs(rules.speed_up(a, k, c) - (1 - a ** (k + 1)) / ((1 - a) * (k * c + 1))) < 1e-12
    # 32 texts at a ridge of 32: a pass over 5 tokens a text costs five, so 0.8 loses and certainty breaks even.
    assert abs(rules.speed_up(0.8, 4, 0.0, batch=32, ridge=32) - rules.expected_tokens(0.8, 4) / 5) < 1e-12
    assert rules.speed_up(1.0, 4, 0.0, batch=32, ridge=32) == 1.0
    assert rules.speed_up(0.0, 4, 0.0, batch=1, ridge=5) == 1.0
    assert rules.speed_up(0.9, 0, 0.3) == 1.0
    assert [rules.pass_cost(t, 8) for t in (1, 8, 16)] == [1, 1, 2]
    for bad in (lambda: rules.speed_up(0.5, 2, -0.1), lambda: rules.pass_cost(1, 0.5), lambda: rules.pass_cost(0)):
        _refused(InvalidValue, bad)


def _refused(error, call):
    try:
        call()
    except error:
        return
    raise AssertionError(f"no {error.__name__}")


CHECKS = {
    name: check
    for name, check in list(globals().items())
    if hasattr(check, "__code__") and check.__code__.co_varnames[:1] == ("rules",)
}
