"""A request refuses what could not be scheduled anywhere, and says how far it is."""

import pytest

from minillm.errors import InvalidType, InvalidValue
from minillm.serving.request import Request


@pytest.mark.parametrize(
    ("change", "error", "says"),
    [
        (dict(request_id=""), InvalidValue, "request_id"),
        (dict(request_id=7), InvalidType, "request_id"),
        (dict(prompt_token_ids=[]), InvalidValue, "at least one token"),
        (dict(prompt_token_ids="text"), InvalidType, "prompt_token_ids"),
        (dict(prompt_token_ids=b"bytes"), InvalidType, "prompt_token_ids"),
        (dict(prompt_token_ids=[1, 2.5]), InvalidType, "prompt_token_ids"),
        (dict(prompt_token_ids=None), InvalidType, "prompt_token_ids"),
        (dict(prompt_token_ids=[1, -1]), InvalidValue, "count from 0; got -1"),
        (dict(prompt_token_ids=[2**63]), InvalidValue, "prompt_token_ids"),
        (dict(max_tokens=0), InvalidValue, "max_tokens"),
        (dict(max_tokens=True), InvalidType, "max_tokens"),
        (dict(min_tokens=-1), InvalidValue, "min_tokens"),
        (dict(min_tokens=17), InvalidValue, "at most max_tokens, 16; got 17"),
        (dict(stop_token_ids=["a"]), InvalidType, "stop_token_ids"),
        (dict(stop_token_ids=3), InvalidType, "stop_token_ids"),
        (dict(priority=1.5), InvalidType, "priority"),
        (dict(salt=3), InvalidType, "salt"),
        (dict(arrival_time=float("nan")), InvalidValue, "arrival_time"),
        (dict(arrival_time="now"), InvalidType, "arrival_time"),
        (dict(parent="r0"), InvalidType, "parent"),
        (dict(parent=Request("r0", [1, 2])), InvalidValue, "parent's prompt"),
        (dict(parent=Request("r0", [1, 2, 3], salt="a")), InvalidValue, "salt"),
    ],
)
def test_what_means_nothing_is_refused(change, error, says):
    given = dict(request_id="r", prompt_token_ids=[1, 2, 3]) | change
    with pytest.raises(error, match=says):
        Request(given.pop("request_id"), given.pop("prompt_token_ids"), **given)


def test_any_sequence_of_whole_numbers_is_a_prompt():
    import numpy as np

    for prompt in (range(3), (0, 1, 2), np.arange(3)):
        request = Request("r", prompt)
        assert request.prompt_token_ids == (0, 1, 2) and request.token_ids == [0, 1, 2]
        assert {type(token) for token in request.token_ids} == {int}


def test_a_request_says_how_far_it_is():
    request = Request("r", [5, 6, 7], max_tokens=4, salt="")
    assert (request.num_prompt_tokens, request.num_tokens, request.num_output_tokens) == (3, 3, 0)
    assert request.is_prefilling and not request.is_finished and request.most_tokens == 6
    request.num_computed_tokens, request.token_ids = 3, [5, 6, 7, 8]
    assert not request.is_prefilling and request.output_token_ids == [8]
    request.num_computed_tokens, request.token_ids = 0, [5, 6, 7, 8, 9]
    assert request.is_prefilling  # it lost its blocks, and reads everything again
    request.num_computed_tokens = 4
    assert not request.is_prefilling


def test_a_prompt_of_one_token_is_a_prompt():
    assert Request("r", [5]).is_prefilling


def test_a_request_keeps_its_own_tokens():
    prompt = [1, 2]
    request = Request("r", prompt)
    prompt.append(3)
    request.token_ids.append(4)
    assert request.prompt_token_ids == (1, 2) and request.token_ids == [1, 2, 4]
