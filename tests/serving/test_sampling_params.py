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
        (dict(temperature=10**400), InvalidValue, "temperature must be at least 0; got 1000"),
        (dict(n=0), InvalidValue, "n must be at least 1; got 0"),
        (dict(n=16_385), InvalidValue, "n must be at most 16,384; got 16,385"),
        (dict(n=1.0), InvalidType, "n must be a whole number; got 1.0"),
        (dict(min_p=-0.1), InvalidValue, "min_p must be between 0 and 1; got -0.1; use 0 to keep every token"),
        (dict(min_p=1.1), InvalidValue, "min_p must be between 0 and 1; got 1.1"),
        (dict(min_p=None), InvalidType, "min_p must be a number; got None"),
        (
            dict(presence_penalty=2.5),
            InvalidValue,
            "presence_penalty must be between -2 and 2; got 2.5; use 0 for none",
        ),
        (dict(frequency_penalty=-3), InvalidValue, "frequency_penalty must be between -2 and 2; got -3"),
        (dict(frequency_penalty=float("inf")), InvalidValue, "frequency_penalty must be between -2 and 2; got inf"),
        (dict(repetition_penalty=0), InvalidValue, "repetition_penalty must be above 0; got 0; use 1 for none"),
        (dict(repetition_penalty=float("inf")), InvalidValue, "repetition_penalty must be above 0; got inf"),
        (dict(stop_token_ids="12"), InvalidType, "stop_token_ids must be token ids"),
        (dict(stop_token_ids=3), InvalidType, "stop_token_ids must be token ids"),
        (dict(stop_token_ids=[True]), InvalidType, "stop_token_ids must be token ids"),
        (dict(stop_token_ids=[4, -1]), InvalidValue, "whole numbers from 0; got [4, -1]; leave it out"),
        (dict(min_tokens=-1), InvalidValue, "min_tokens must be at least 0; got -1"),
        (dict(min_tokens=5, max_tokens=4), InvalidValue, "min_tokens must be at most max_tokens, 4; got 5; lower it"),
        (dict(logprobs=-1), InvalidValue, "logprobs must be at least 0; got -1"),
        (dict(logprobs=True), InvalidType, "logprobs must be a whole number; got True"),
        (dict(seed=10**5000), InvalidValue, "seed must fit 64 bits; got a number of 16610 bits"),
        (dict(n=10**5000), InvalidValue, "n must fit 64 bits"),
        (dict(max_tokens=-(10**5000)), InvalidValue, "max_tokens must fit 64 bits"),
        (dict(stop_tokens=[1]), InvalidType, "no option 'stop_tokens' (did you mean 'stop_token_ids'?)"),
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
    assert (
        SamplingParams(stop_token_ids=[3, 4]).stop_token_ids == (3, 4)
        and SamplingParams(stop_token_ids=None).stop_token_ids == ()
    )
    assert SamplingParams(temperature=0).temperature == 0.0
    assert dataclasses.replace(SamplingParams(seed=1), max_tokens=4) == SamplingParams(seed=1, max_tokens=4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        SamplingParams().top_k = 3


def test_equal_ones_are_one_key():
    assert len({SamplingParams(stop=["a"], logprobs=1), SamplingParams(stop="a", logprobs=1), SamplingParams()}) == 2
