"""The formulas against brute force, against counters on running code, and against models built by transformers."""

import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minillm.errors import InvalidType, InvalidValue
from minillm.measure import cost

LENGTHS = st.integers(1, 12)


@settings(max_examples=300, deadline=None)
@given(LENGTHS, LENGTHS, st.booleans(), st.none() | st.integers(1, 14))
def test_visible_pairs_agree_with_looking_at_every_pair(L, S, causal, window):
    def may_look(i, j):
        return (not causal or j <= i + S - L) and (window is None or j > i + S - L - window)

    expected = sum(may_look(i, j) for i in range(L) for j in range(S))
    assert cost.visible_pairs(L, S, causal=causal, window=window) == expected


def test_causal_attention_uses_half_of_what_it_issues_and_the_diagonal():
    flops = cost.attention_flops(2, 4, 4, 3, 8, causal=True)
    assert flops.issued == 4 * 2 * 3 * 8 * 16
    assert flops.useful == 4 * 2 * 3 * 8 * 10


def test_llama_8b_numbers_one_can_check_with_a_pencil():
    assert cost.kv_cache_bytes(1, 8192, 32, 8, 128) == 2**30
    assert cost.score_bytes(1, 32, 8192, 8192) == 4 * 2**30
    parameters = cost.parameter_count(128256, 4096, 14336, 32, 32, 8, 128)
    assert parameters == 8_030_261_248
    assert cost.weight_bytes(parameters) == 2 * parameters
    assert cost.weight_bytes(parameters, dtype_bytes=0.5) == parameters // 2


def test_ideal_bytes_read_each_input_once():
    ideal = cost.ideal_attention_bytes(2, 3, 5, 8, 2, 16, dtype_bytes=4)
    assert ideal.loaded == 4 * (2 * 3 * 8 * 16 + 2 * (2 * 5 * 2 * 16))
    assert ideal.stored == 4 * (2 * 3 * 8 * 16)
    assert ideal.moved == ideal.loaded + ideal.stored


def test_roofline_takes_the_slower_of_the_two():
    assert cost.roofline_time(100, 10, bandwidth=10, rate=10) == 10
    assert cost.roofline_time(10, 100, bandwidth=10, rate=10) == 10
    assert cost.roofline_time(0, 100, bandwidth=10, rate=10) == 10
    assert cost.ridge_point(2.0, 8.0) == cost.arithmetic_intensity(8, 2) == 4


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf")])
def test_numbers_that_mean_nothing_are_refused(bad):
    with pytest.raises(InvalidValue, match="length"):
        cost.kv_cache_bytes(1, bad, 1, 1, 1)
    with pytest.raises(InvalidValue, match="window"):
        cost.visible_pairs(4, 4, window=bad)
    with pytest.raises(InvalidValue, match="bandwidth"):
        cost.roofline_time(1, 1, bad, 1)
    with pytest.raises(InvalidValue, match="head_dim"):
        cost.parameter_count(1, 1, 1, 1, 1, 1, bad)


@pytest.mark.parametrize("bad", ["8", None, True])
def test_what_is_not_a_number_is_refused(bad):
    with pytest.raises(InvalidType, match="batch"):
        cost.score_bytes(bad, 1, 1, 1)


def test_formulas_need_no_torch():
    code = "import sys, minillm.measure.cost, minillm.measure.hardware; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
