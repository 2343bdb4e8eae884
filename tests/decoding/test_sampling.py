"""Sampling: the right support, the right odds, and noise that is a function of its address alone."""

import math

import pytest
import torch

from minillm.decoding import next_token_probabilities, sample_token, uniform_noise

LOGITS = torch.tensor([2.0, -1.0, 0.5, 0.5, 3.0, -4.0])


def by_hand(logits, temperature, top_k, top_p):
    """The same rules with sorting and lists, in Python floats."""
    odds = [math.exp((x - max(logits)) / temperature) for x in logits]
    odds = [o / sum(odds) for o in odds]
    order = sorted(range(len(odds)), key=lambda i: (-odds[i], i))[: top_k or len(odds)]
    total, kept, mass = sum(odds[i] for i in order), [], 0.0
    for i in order:
        kept.append(i)
        mass += odds[i]
        if mass >= top_p * total - 1e-12:
            break
    mass = sum(odds[i] for i in kept)
    return [odds[i] / mass if i in kept else 0.0 for i in range(len(odds))]


@pytest.mark.parametrize("temperature", [0.25, 1.0, 3.0])
@pytest.mark.parametrize("top_k", [None, 1, 3, 100])
@pytest.mark.parametrize("top_p", [1e-6, 0.3, 0.9, 1.0])
def test_probabilities_follow_the_rules(temperature, top_k, top_p):
    got = next_token_probabilities(LOGITS, temperature, top_k, top_p)
    assert torch.allclose(got, torch.tensor(by_hand(LOGITS.tolist(), temperature, top_k, top_p)), atol=1e-6)


def test_temperature_zero_is_greedy_and_ties_go_to_the_lowest_id():
    assert next_token_probabilities(torch.tensor([1.0, 5.0, 5.0]), 0).tolist() == [0, 1, 0]
    assert sample_token(torch.tensor([1.0, 5.0, 5.0]), temperature=0, top_k=None, top_p=1.0, noise=0.999) == 1


@pytest.mark.parametrize("temperature", [1e-300, 1e-50, 1e-8, 1e-4, 1e4, 1e300])
def test_extreme_temperatures_stay_finite(temperature):
    got = next_token_probabilities(100 * LOGITS, temperature)
    assert got.isfinite().all() and got.sum().item() == pytest.approx(1)


@pytest.mark.parametrize("top_p", [1e-300, 1e-46])
def test_a_top_p_too_small_for_float32_still_keeps_the_best_token(top_p):
    assert next_token_probabilities(LOGITS, 1.0, None, top_p).tolist() == [0, 0, 0, 0, 1, 0]


def test_top_p_measures_what_top_k_left():
    # Three equal tokens: with top_k=2 each kept one has half, so top_p=0.5 keeps exactly one.
    got = next_token_probabilities(torch.zeros(3), 1.0, 2, 0.5)
    assert got.tolist() == [1, 0, 0]


def test_rows_are_independent():
    rows = torch.stack((LOGITS, LOGITS.flip(0)))
    got = next_token_probabilities(rows, 0.7, 4, 0.8)
    assert torch.equal(got[0], next_token_probabilities(LOGITS, 0.7, 4, 0.8))


def test_noise_is_a_function_of_its_address():
    addresses = [(s, n, p) for s in range(6) for n in range(3) for p in range(50)]
    drawn = [uniform_noise(*a) for a in addresses]
    assert drawn == [uniform_noise(*a) for a in reversed(addresses)][::-1]
    assert len(set(drawn)) == len(drawn)
    assert all(0 <= u < 1 for u in drawn)
    assert uniform_noise(1, 0, 23) != uniform_noise(12, 0, 3)  # addresses are kept apart, not run together
    assert uniform_noise(7, 0, 0) == 0.9329061096506231  # pinned: texts of old seeds must not change


def test_draws_have_the_probabilities():
    options = dict(temperature=0.8, top_k=4, top_p=0.95)
    want = next_token_probabilities(LOGITS, **options)
    draws = 20_000
    counts = torch.zeros(6)
    for position in range(draws):
        counts[sample_token(LOGITS, **options, noise=uniform_noise(3, 0, position))] += 1
    assert (counts[want == 0] == 0).all()
    chi_squared = ((counts - draws * want) ** 2 / (draws * want))[want > 0].sum().item()
    assert chi_squared < 16.3  # 3 degrees of freedom, one in a thousand


@pytest.mark.parametrize("noise", [0.0, 1 - 2.0**-53])
def test_the_ends_of_the_noise_never_pick_a_removed_token(noise):
    logits = torch.tensor([-100.0, 1.0, 1.0, -100.0])
    assert sample_token(logits, temperature=1.0, top_k=2, top_p=1.0, noise=noise) in (1, 2)
