"""Sampling parameters refuse what cannot mean anything, with the rule, the value and a remedy."""

import dataclasses

import pytest

from minillm.errors import InvalidType, InvalidValue
from minillm.serving import SamplingParams


@pytest.mark.parametrize(
    ("options", "error", "text"),
    [
        (dict(temperature=-0.1), InvalidValue, "temperature must be at least 0; got -0.1; use 0 for greedy"),
        (dict(temperature=float("nan")), InvalidValue, "temperature must be at least 0; got nan"),
        (dict(temperature="hot"), InvalidType, "temperature must be a number; got 'hot'"),
        (dict(top_p=0), InvalidValue, "top_p must be above 0 and at most 1; got 0; use 1"),
        (dict(top_p=1.5), InvalidValue, "top_p must be above 0 and at most 1; got 1.5"),
        (dict(top_k=0), InvalidValue, "top_k must be at least 1; got 0"),
        (dict(top_k=2.0), InvalidType, "top_k must be a whole number; got 2.0"),
        (dict(max_tokens=0), InvalidValue, "max_tokens must be at least 1; got 0; use 1 or more"),
        (dict(max_tokens=True), InvalidType, "max_tokens must be a whole number; got True"),
        (dict(seed=-1), InvalidValue, "seed must be at least 0; got -1"),
        (dict(stop=""), InvalidValue, "stop must be non-empty strings"),
        (dict(stop=["a", 3]), InvalidValue, "stop must be non-empty strings"),
        (dict(stop=5), InvalidValue, "stop must be non-empty strings"),
        (dict(ignore_eos="yes"), InvalidType, "ignore_eos must be True or False"),
        (dict(temprature=1), InvalidType, "no option 'temprature' (did you mean 'temperature'?)"),
    ],
)
def test_refused(options, error, text):
    with pytest.raises(error) as caught:
        SamplingParams(**options)
    assert text in str(caught.value)


def test_defaults_and_normal_forms():
    assert SamplingParams() == SamplingParams(1.0, None, 1.0, None, (), False, 16)
    assert SamplingParams(stop="x").stop == ("x",) and SamplingParams(stop=None).stop == ()
    assert SamplingParams(temperature=0).temperature == 0.0
    assert dataclasses.replace(SamplingParams(seed=1), max_tokens=4) == SamplingParams(seed=1, max_tokens=4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        SamplingParams().top_k = 3
