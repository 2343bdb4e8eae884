"""Whatever happens around it, a text is the one that is written alone and without an engine.

Random days: who comes when, how long, with how many samples, in blocks of which size, under which policy, in pools so small
that texts lose their memory, with what was computed for others found again, prompts cut up, drafts, forks and aborts. Freed
blocks are full of NaN, and every step checks the pool.
"""

from collections import Counter
from types import SimpleNamespace

import pytest
from engine_days import ALL_FAMILIES, PROMPTS, Ask, Day, expected, judge, live
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from minillm.serving.engine import LLMEngine
from minillm.serving.sampling_params import SamplingParams

HOUSE = SimpleNamespace(LLMEngine=LLMEngine)
SEEN = Counter()


@st.composite
def asked(draw, family):
    """A request for a prompt of the few that the oracle knows, so that beginnings are shared."""
    prompt = draw(st.sampled_from(PROMPTS))
    greedy = draw(st.booleans())
    max_tokens = draw(st.sampled_from((1, 2, 5, 10)))
    options = dict(max_tokens=max_tokens, temperature=0.0 if greedy else 1.0, n=draw(st.sampled_from((1, 1, 2, 3))))
    if not greedy:
        options |= dict(seed=draw(st.sampled_from((None, 3))), top_p=draw(st.sampled_from((1.0, 0.9))))
    kind = draw(st.sampled_from(("plain", "plain", "penalties", "ends", "logprobs", "stop")))
    if kind == "penalties":
        options |= dict(repetition_penalty=1.3, frequency_penalty=0.5)
    if kind == "ends":
        options |= dict(stop_token_ids=tuple(range(0, 61, 5)), min_tokens=draw(st.integers(0, max_tokens)))
    if kind == "logprobs":
        options |= dict(logprobs=draw(st.sampled_from((0, 3))))
    ask = Ask(prompt, SamplingParams(**options))
    if kind == "stop":
        shown = expected(ask, family, 0)[1]
        at = draw(st.integers(0, max(0, len(shown) - 2)))
        stops = (shown[at : at + 2] or "x", "never there")
        ask = Ask(prompt, SamplingParams(**options, stop=stops, min_tokens=draw(st.sampled_from((0, 0, 2)))) if max_tokens > 1 else ask.params)
    abort = draw(st.one_of(st.none(), st.none(), st.integers(1, 12)))
    return Ask(
        prompt, ask.params, draw(st.integers(0, 6)), abort, draw(st.integers(0, 2)), draw(st.sampled_from((None, None, "s")))
    )


@st.composite
def days(draw):
    family = draw(st.sampled_from(ALL_FAMILIES))
    asks = tuple(draw(st.lists(asked(family), min_size=1, max_size=5)))
    longest = max(len(ask.prompt) + ask.params.max_tokens - 1 for ask in asks)
    size = draw(st.sampled_from((1, 2, 4, 7)))
    policy = draw(st.sampled_from(("budget", "budget", "splitfuse", "prefill_first", "static")))
    chunked = policy == "splitfuse" or draw(st.booleans())
    budget = draw(st.integers(1, 24))
    if not chunked or policy in ("prefill_first", "static"):
        budget = max(budget, max(len(ask.prompt) for ask in asks))
    options = dict(
        block_size=size,
        num_blocks=-(-longest // size) + draw(st.sampled_from((0, 1, 4, 30))),
        max_num_batched_tokens=budget,
        max_num_seqs=draw(st.sampled_from((1, 2, 3, 8))),
        policy=policy,
        memory=draw(st.sampled_from(("optimistic", "optimistic", "reserve"))),
        order=draw(st.sampled_from(("fcfs", "priority"))),
        enable_chunked_prefill=chunked,
        enable_prefix_caching=draw(st.booleans()),
        long_prefill_token_threshold=draw(st.sampled_from((None, None, 3))),
    )
    guesses = draw(st.sampled_from((None, None, 0, 2, 5)))
    if guesses is None and draw(st.booleans()):
        options["speculative"] = "ngram"
    return Day(family, asks, options, guesses)


@given(days())
@settings(max_examples=150, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_a_text_is_what_it_would_be_alone(day):
    diary = judge(day, live(HOUSE, day))
    SEEN.update(diary.count(days=1, guessed=day.guesses is not None))


def test_those_days_had_everything_in_them():
    """Were the pools too large or the prompts too short, the days would prove little."""
    if not SEEN["days"]:
        pytest.skip("the days were not lived in this process")
    print(SEEN)
