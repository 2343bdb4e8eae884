"""Hooks, clocks, guesses and names that are not what an engine was promised: nothing of it may hang or harm a text."""

import asyncio
from types import SimpleNamespace

import pytest
from cached_texts import decoder
from engine_days import BASE, OTHER, oracle, tokenizer

from minillm.errors import InvalidType, InvalidValue, MinillmError
from minillm.serving.async_engine import AsyncLLM
from minillm.serving.engine import LLMEngine
from minillm.serving.llm import LLM
from minillm.serving.sampling_params import SamplingParams

PROMPT = list(BASE[:5])
GREEDY = SamplingParams(temperature=0, max_tokens=8)
SMALL = dict(block_size=4, num_blocks=40, check=True)


def engine(**options):
    return LLMEngine(decoder("llama"), tokenizer(), **SMALL | options)


def greedy(prompt=PROMPT, count=8):
    return oracle("llama", tuple(prompt), SamplingParams(temperature=0, max_tokens=count), 0, 0)[0]


def finish(made, *errors):
    """Step to the end, going on after these errors -> how many came."""
    raised = 0
    for _ in range(200):
        if not made.has_unfinished:
            return raised
        try:
            made.step()
        except errors:
            raised += 1
    raise AssertionError("it does not end")


def works(made):
    """Nothing is left behind, and a text is still what it would be."""
    assert not made.answers.texts and not made.answers.live and not made.metrics._lives
    assert made.cache.pool.num_used == 0
    name = made.add_request(PROMPT, GREEDY)
    finish(made)
    assert made.output(name).outputs[0].token_ids == greedy()


class Guesses:
    k, vocab_size = 2, None

    def __init__(self, says=()):
        self.says = says

    def propose(self, requests, k, choice_of=None):
        return [list(self.says) for _ in requests]

    def forget(self, request):
        pass


@pytest.mark.parametrize("name", [[], {}, 5, b"x", ("a",)])
def test_a_name_that_is_no_string_is_refused(name):
    made = engine()
    for call in (made.abort, made.output, made.metrics.times, lambda one: made.add_request(PROMPT, request_id=one)):
        with pytest.raises((InvalidType, InvalidValue)):
            call(name)
    works(made)


@pytest.mark.parametrize(
    "options",
    [{"clock": 5}, {"new_seed": 5}, {"on_step": 5}, {"speculative": SimpleNamespace(propose=print, forget=print)}],
)
def test_hooks_that_are_none_are_refused_when_the_engine_is_built(options):
    with pytest.raises(InvalidType):
        engine(**options)


def test_what_is_no_model_or_tokenizer_is_refused_when_the_engine_is_built():
    for model in ("tiny", None):
        with pytest.raises(InvalidType, match="Decoder"):
            LLMEngine(model)
    with pytest.raises(InvalidType, match="Tokenizer"):
        LLMEngine(decoder("llama"), "tiny")


def test_a_clock_that_goes_backwards_stands_still():
    ticks = iter(range(1000, 0, -1))
    made = engine(clock=lambda: float(next(ticks)))
    made.add_request(PROMPT, GREEDY)
    finish(made)
    assert all(times.e2e == 0 for times in made.metrics.finished.values())
    works(made)


@pytest.mark.parametrize("says", [(1.0,), (2.5,), ("a",), (None,), (float("nan"),), (True,), (10**30,)])
def test_guesses_that_are_no_tokens_change_no_text(says):
    made = engine(speculative=Guesses(says))
    made.add_request(PROMPT, GREEDY)
    finish(made)
    works(made)
    assert all(times.finish_reason == "length" for times in made.metrics.finished.values())


def test_a_proposer_that_cannot_forget_costs_nothing():
    guesses = Guesses()
    guesses.forget = lambda request: 1 / 0
    made = engine(speculative=guesses)
    made.add_request(PROMPT, GREEDY)
    finish(made)
    assert made.num_failed_proposals == 1
    works(made)


def test_an_interruption_while_text_is_written_leaves_an_engine_that_works():
    made = engine()
    names = [made.add_request(list(p), SamplingParams(temperature=0, logprobs=1)) for p in (BASE[:6], OTHER[:6])]
    made.step()

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    made.answers.texts[names[1]].stream.push = interrupted
    with pytest.raises(KeyboardInterrupt):
        made.step()
    for name in names:
        [one] = made.output(name).outputs
        assert one.finish_reason == "abort" and len(one.token_ids) == len(one.logprobs) == 1
    works(made)


def test_an_abort_in_the_middle_of_a_pass_is_refused_and_harms_nobody():
    made = engine()
    names = [made.add_request(list(p), GREEDY) for p in (BASE[:5], OTHER[:6])]
    made.step()
    original = made.worker.loop.step

    def step(*asked):
        made.worker.loop.step = original
        with pytest.raises(InvalidValue, match="discard_later"):
            made.abort(names[0])
        made.discard_later(names[1])
        return original(*asked)

    made.worker.loop.step = step
    finish(made)
    assert made.output(names[0]).outputs[0].token_ids == greedy()
    with pytest.raises(InvalidValue):
        made.output(names[1])
    works(made)


def test_a_listener_that_raises_takes_nothing_out_of_a_stream():
    llm = LLM(decoder("llama"), tokenizer(), **SMALL)
    steps = iter(range(1000))

    def raises(trace):
        if next(steps) in (2, 7):
            raise RuntimeError("a listener's own")

    llm.engine.on_step = raises
    stream, tokens, raised = llm.stream(PROMPT, GREEDY), [], 0
    while True:
        try:
            tokens += next(stream).token_ids
        except StopIteration:
            break
        except RuntimeError:
            raised += 1
    assert tuple(tokens) == greedy() and raised == 2


def test_a_step_within_a_step_is_refused():
    """It would hand out its chunks before those of the step around it."""
    llm = LLM(decoder("llama"), tokenizer(), **SMALL)
    refused = []

    def asks(trace):
        with pytest.raises(InvalidValue, match="within a step") as caught:
            llm.generate(PROMPT, GREEDY)
        refused.append(caught.value)

    llm.engine.on_step = asks
    stream = llm.stream(PROMPT, GREEDY)
    assert tuple(token for chunk in stream for token in chunk.token_ids) == greedy() and refused
    llm.engine.on_step = None
    works(llm.engine)


def play(plan, **options):
    async def run():
        made = AsyncLLM(decoder("llama"), tokenizer(), **SMALL | options)
        try:
            return await asyncio.wait_for(plan(made), 20)
        finally:
            made._driver.close(drain=False)

    return asyncio.run(run())


def test_texts_of_one_request_that_end_together_are_all_streamed_to_their_ends():
    async def plan(made):
        return [chunk async for chunk in made.stream(PROMPT, SamplingParams(n=3, seed=1, max_tokens=4))]

    chunks = play(plan)
    for index in range(3):
        mine = [chunk for chunk in chunks if chunk.index == index]
        assert sum(len(chunk.token_ids) for chunk in mine) == 4 and mine[-1].finish_reason == "length"


@pytest.mark.parametrize("error", [RuntimeError, SystemExit])
def test_nothing_that_is_raised_between_two_steps_lets_a_task_wait_for_ever(error):
    async def plan(made):
        original = made.engine.discard

        def raises(name):
            original(name)
            made.engine.discard = original
            raise error

        made.engine.discard = raises
        leaver = asyncio.create_task(made.generate(PROMPT, SamplingParams(max_tokens=50)))
        await asyncio.sleep(0.05)
        leaver.cancel()
        asked = [made.generate(PROMPT, GREEDY) for _ in range(4)]
        got = await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 10)
        again = await asyncio.wait_for(made.generate(PROMPT, GREEDY), 10)
        return got, again

    got, again = play(plan)
    assert again.outputs[0].token_ids == greedy()
    assert all(isinstance(one, BaseException) or one.outputs[0].token_ids == greedy() for one in got)


def test_a_listener_that_ends_the_thread_hangs_nobody():
    async def plan(made):
        def leaves(trace):
            made.engine.on_step = None
            raise SystemExit

        made.engine.on_step = leaves
        [got] = await asyncio.gather(asyncio.wait_for(made.generate(PROMPT, GREEDY), 10), return_exceptions=True)
        return got, await asyncio.wait_for(made.generate(PROMPT, GREEDY), 10)

    got, again = play(plan)
    assert isinstance(got, MinillmError) and isinstance(got.__cause__, SystemExit)
    assert again.outputs[0].token_ids == greedy()


def test_a_proposer_hears_of_texts_that_lost_their_memory():
    guesses, forgotten = Guesses(), []
    guesses.forget = lambda request: forgotten.append((request.request_id, request.is_finished))
    made = engine(num_blocks=4, speculative=guesses)
    for prompt in (BASE[:5], OTHER[:6]):
        made.add_request(list(prompt), GREEDY)
    finish(made)
    assert made.metrics.preemptions.value == sum(not ended for _, ended in forgotten) > 0
