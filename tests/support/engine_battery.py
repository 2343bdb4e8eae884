"""What the engine promises besides its texts, each as a check that takes the classes and raises when a promise is broken.

`house` has LLMEngine, LLM, SamplingParams and TextStream, ours or those around a line that is wrong on purpose.
"""

import itertools
import random

from cached_texts import decoder
from engine_days import BASE, OTHER, Ask, Day, choke, expected, judge, live, make_day, oracle, tokenizer

from minillm.errors import InvalidType, InvalidValue
from minillm.serving.outputs import QueueFull
from minillm.serving.sampling_params import SamplingParams

FAMILY = "llama"
GREEDY = SamplingParams(temperature=0, max_tokens=8)
BAD = 33  # the token that faulty models choke on


def engine(house, **options):
    said = dict(check=True, block_size=4, num_blocks=40, new_seed=lambda: 11)
    return house.LLMEngine(decoder(FAMILY), tokenizer(), **said | options)


def finish(engine, most=200):
    """Step until nothing is left -> all chunks."""
    chunks = []
    for _ in range(most):
        if not engine.has_unfinished:
            return chunks
        chunks += engine.step()
    raise AssertionError("it does not end")


def greedy(prompt, count=8):
    return oracle(FAMILY, tuple(prompt), SamplingParams(temperature=0, max_tokens=count), 11, 0)[0]


def whole(engine):
    """Nothing is left, and every block is where it belongs."""
    engine.scheduler.check()
    assert engine.cache.pool.num_used == 0 and not engine.scheduler.requests and not engine.answers.texts
    assert not engine.has_unfinished


def random_days(house):
    """Fixed ones, for wrong lines; hypothesis lives others through."""
    for seed in range(24):
        day = make_day(random.Random(seed).choice)
        judge(day, live(house, day))


def preempted_texts_go_on(house):
    for policy, guesses in (("budget", None), ("splitfuse", 3), ("prefill_first", None)):
        asks = tuple(Ask(BASE[: 5 + i], SamplingParams(seed=i, max_tokens=10)) for i in range(5))
        options = dict(block_size=2, num_blocks=12, max_num_batched_tokens=12, policy=policy)
        day = Day(FAMILY, asks, options, guesses)
        diary = judge(day, live(house, day))
        assert diary.count()["preempted"] > 3


def samples_share_the_prompt(house):
    """n texts differ, each by its own noise, and only the first one's prompt is computed."""
    traces = []
    made = engine(house, on_step=traces.append)
    params = SamplingParams(n=3, seed=4, max_tokens=8)
    name = made.add_request(list(BASE[:14]), params)
    chunks = finish(made)
    out = made.output(name)
    texts = [one.token_ids for one in out.outputs]
    assert texts == [oracle(FAMILY, BASE[:14], params, 4, index)[0] for index in range(3)]
    assert len(set(texts)) == 3 and {c.index for c in chunks} == {0, 1, 2}
    assert {c.request_id for c in chunks} == {name}
    # The prompt, its last token twice more, and all but the last token of what is written.
    assert sum(trace.num_tokens for trace in traces) == 14 + 2 + 3 * 7
    whole(made)


def one_failing_text_ends_alone(house):
    for at_scores in (False, True):
        for bad_at in (0, 6):
            made = engine(house, max_num_batched_tokens=9)
            choke(made, BAD, at_scores=at_scores and bad_at == 6)
            prompts = [BASE[:6], (*OTHER[:bad_at], BAD), BASE[3:12]]
            names = [made.add_request(list(p), GREEDY) for p in prompts]
            chunks = finish(made)
            outs = [made.output(name) for name in names]
            assert [o.outputs[0].token_ids for o in outs[::2]] == [greedy(p) for p in prompts[::2]]
            assert outs[1].outputs[0].finish_reason == "error" and outs[1].outputs[0].token_ids == ()
            told = "UnusableScores" if at_scores and bad_at == 6 else "RuntimeError: the model choked"
            assert outs[1].error.startswith(told) and outs[0].error is None
            last = [c for c in chunks if c.request_id == names[1]]
            assert [c.finish_reason for c in last] == ["error"] and last[0].error == outs[1].error
            assert made.metrics.success.values == {"length": 2, "error": 1}
            assert made.worker.num_failed_passes == 1
            whole(made)
            assert made.output(made.add_request(list(BASE[:6]), GREEDY)).outputs[0].finish_reason is None
            finish(made)


def a_failing_sample_leaves_the_others(house):
    """One of n texts meets the bad token; the rest of the request is written."""
    params = SamplingParams(n=4, seed=1, max_tokens=10)
    texts = [oracle(FAMILY, BASE[:5], params, 1, i)[0] for i in range(4)]
    bad = next(
        t for text in texts for t in text[:-1] if sum(t in other[:-1] for other in texts) < 4 and t not in BASE[:5]
    )
    made = engine(house)
    original = made.worker.loop.step

    def step(token_ids, batch, rows=None):
        if (token_ids == bad).any():
            raise RuntimeError("the model choked")
        return original(token_ids, batch, rows)

    made.worker.loop.step = step
    name = made.add_request(list(BASE[:5]), params)
    finish(made)
    for text, one in zip(texts, made.output(name).outputs, strict=True):
        if bad in text[:-1]:
            assert one.finish_reason == "error" and one.token_ids == text[: text.index(bad) + 1]
        else:
            assert one.finish_reason == "length" and one.token_ids == text
    whole(made)


def a_tokenizer_that_raises_costs_one_text(house):
    made = engine(house)
    names = [made.add_request(list(p), GREEDY) for p in (BASE[:6], OTHER[:6])]

    def push(*_, **__):
        raise RuntimeError("no such token")

    made.answers.texts[names[0]].stream.push = push
    finish(made)
    first, second = (made.output(name) for name in names)
    assert first.error == "RuntimeError: no such token" and first.outputs[0].finish_reason == "error"
    assert second.outputs[0].token_ids == greedy(OTHER[:6])
    whole(made)


def an_interruption_leaves_an_engine_that_works(house):
    made = engine(house)
    names = [made.add_request(list(p), GREEDY) for p in (BASE[:6], OTHER[:6])]
    made.step()
    original = made.worker.loop.step

    def interrupted(*_):
        raise KeyboardInterrupt

    made.worker.loop.step = interrupted
    try:
        made.step()
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("the interruption was swallowed")
    made.worker.loop.step = original
    assert [made.output(name).outputs[0].finish_reason for name in names] == ["abort", "abort"]
    whole(made)
    name = made.add_request(list(BASE[:6]), GREEDY)
    finish(made)
    assert made.output(name).outputs[0].token_ids == greedy(BASE[:6])


def proposers_may_be_wrong_in_any_way(house):
    class Wrong:
        k, vocab_size = 3, None

        def __init__(self, says):
            self.says = says

        def propose(self, requests, k, choice_of=None):
            return [list(self.says) for _ in requests] if self.says is not None else 1 / 0

        def forget(self, request):
            pass

    for says in ((), (1, 2, 3), (61, 1), (-1,), None, (greedy(BASE[:6])[1],) * 9):
        made = engine(house, speculative=Wrong(says))
        name = made.add_request(list(BASE[:6]), GREEDY)
        finish(made)
        assert made.output(name).outputs[0].token_ids == greedy(BASE[:6]), says
        assert (made.num_failed_proposals > 0) == (says is None)
        whole(made)


def aborts_are_exact(house):
    made = engine(house, max_num_seqs=2)
    names = [made.add_request(list(BASE[: 4 + i]), SamplingParams(seed=0, max_tokens=9, n=2)) for i in range(3)]
    for _ in range(3):
        made.step()
    for name in (names[0], names[2]):  # one that is written, one that waits
        made.abort(name)
        assert all(o.finish_reason == "abort" for o in made.output(name).outputs)
        refused(lambda name=name: made.abort(name), InvalidValue, "which has ended")
    assert len(made.output(names[0]).outputs[0].token_ids) > 0 == len(made.output(names[2]).outputs[0].token_ids)
    chunks = finish(made)
    assert {c.request_id for c in chunks} == {names[1]}
    assert all(o.finish_reason == "length" for o in made.output(names[1]).outputs)
    refused(lambda: made.abort(names[1]), InvalidValue, "which has ended")
    refused(lambda: made.abort("nobody"), InvalidValue, "unknown request 'nobody'")
    refused(lambda: made.output("nobody"), InvalidValue, "unknown request 'nobody'")
    assert made.metrics.success.values == {"abort": 4, "length": 2}
    whole(made)


def refused(call, error, text):
    try:
        call()
    except error as caught:
        assert text in str(caught), f"{caught} does not say {text!r}"
    else:
        raise AssertionError(f"not refused: {text}")


def wrong_requests_change_nothing(house):
    made = engine(house, num_blocks=8, max_num_waiting=3)
    made.add_request(list(BASE[:4]), GREEDY, request_id="a")
    before = (list(made.scheduler.requests), made.scheduler.num_waiting, dict(made.answers.live))
    add = made.add_request
    for call, error, text in (
        (lambda: add([]), InvalidValue, "at least one token"),
        (lambda: add([61]), InvalidValue, "0 … 60; got 61"),
        (lambda: add([1], "hot"), InvalidType, "params must be SamplingParams"),
        (
            lambda: add([1] * 60, GREEDY),
            InvalidValue,
            "64 positions; got 60 + 8; shorten the prompt or use max_tokens=5",
        ),
        (lambda: add([1] * 40, GREEDY), InvalidValue, "the pool's 8 blocks of 4 tokens; got 40 + 8 - 1"),
        (lambda: add([1], GREEDY, request_id="a"), InvalidValue, "used once at a time; got 'a'"),
        (lambda: add([1], GREEDY, request_id=7), InvalidType, "request_id must be a string"),
        (lambda: add([1], GREEDY, priority="high"), InvalidType, "priority must be a whole number"),
        (lambda: add([1], GREEDY, salt=3), InvalidType, "salt must be a string"),
        (lambda: add([1], SamplingParams(stop_token_ids=[61])), InvalidValue, "stop_token_ids lie in 0 … 60; got 61"),
        (lambda: add([1], SamplingParams(logprobs=62)), InvalidValue, "at most the vocabulary, 61; got 62"),
        (lambda: add([1], SamplingParams(n=3)), QueueFull, "at most 3 requests may wait"),
    ):
        refused(call, error, text)
        assert (list(made.scheduler.requests), made.scheduler.num_waiting, dict(made.answers.live)) == before, text
    finish(made)
    assert made.output("a").outputs[0].token_ids == greedy(BASE[:4])
    whole(made)


def salts_and_priorities_reach_the_scheduler(house):
    made = engine(house, order="priority", max_num_seqs=1)
    names = [made.add_request(list(BASE[:9]), GREEDY, priority=-i, salt=salt) for i, salt in enumerate(("x", "y", "x"))]
    order = list(dict.fromkeys(c.request_id for c in finish(made)))
    assert order == names[::-1]
    assert [made.output(name).num_cached_tokens for name in names] == [8, 0, 0]


def what_samples_share_was_not_found(house):
    """Texts of one request lean on its first; cached is what that one found."""
    made = engine(house)
    for cached in (0, 8):
        name = made.add_request(list(BASE[:10]), SamplingParams(n=3, seed=1, max_tokens=6))
        finish(made)
        assert made.output(name).num_cached_tokens == cached


def a_free_name_is_nobodys(house):
    """Neither of a request that has ended, whose answer would be lost, nor of one whose first text alone has."""
    made = engine(house)
    made.add_request([1], GREEDY, request_id="request-0")
    finish(made)
    one = made.output("request-0")
    assert made.add_request([2], GREEDY) == "request-1" and made.output("request-0") == one
    made.add_request([3], SamplingParams(n=2, seed=0, max_tokens=4), request_id="request-2")
    made.answers.texts.pop("request-2")  # as if the first text had ended
    assert made.answers.name(None, 1) == ["request-3"]


def a_request_without_a_seed_gets_one(house):
    seeds = itertools.count(5)
    made = engine(house, new_seed=lambda: next(seeds))
    names = [made.add_request(list(BASE[:4]), SamplingParams(max_tokens=8)) for _ in range(2)]
    finish(made)
    for seed, name in zip((5, 6), names, strict=True):
        assert (
            made.output(name).outputs[0].token_ids == oracle(FAMILY, BASE[:4], SamplingParams(max_tokens=8), seed, 0)[0]
        )


def traces_say_what_was_done(house):
    traces = []
    made = engine(house, on_step=traces.append, max_num_batched_tokens=6)
    made.add_request(list(BASE[:9]), SamplingParams(temperature=0, max_tokens=3), request_id="a")
    made.step()
    made.add_request(list(OTHER[:2]), SamplingParams(temperature=0, max_tokens=2), request_id="b")
    finish(made)
    shares = [tuple(tuple(s) for s in trace.shares) for trace in traces]
    assert shares == [
        (("a", 0, 6, "prefill"),),
        (("a", 6, 3, "prefill"), ("b", 0, 2, "prefill")),
        (("a", 9, 1, "decode"), ("b", 2, 1, "decode")),
        (("a", 10, 1, "decode"),),
    ]
    assert [t.admitted for t in traces] == [("a",), ("b",), (), ()]
    assert [t.finished for t in traces] == [(), (), ("b",), ("a",)]
    assert [t.num_running for t in traces] == [1, 2, 1, 0]
    assert [len(t.block_tables["a"]) for t in traces] == [2, 3, 3, 3]
    assert [t.num_free_blocks for t in traces] == [38, 36, 37, 40]


def the_same_alone_and_in_company(house):
    params = SamplingParams(seed=3, max_tokens=10, top_p=0.9)
    alone = expected(Ask(BASE[:9], params), FAMILY, 0)[0]
    made = engine(house)
    for other in range(4):
        made.add_request(list(OTHER[: other + 1]), SamplingParams(seed=other, max_tokens=3 + other))
    name = made.add_request(list(BASE[:9]), params)
    finish(made)
    assert made.output(name).outputs[0].token_ids == alone


def end_tokens_end_texts_unless_ignored(house):
    model = decoder(FAMILY)
    text, config = greedy(BASE[:6]), model.config
    model.config = config.with_(eos_token_ids=(text[3],))
    try:
        made = engine(house)
        names = [
            made.add_request(list(BASE[:6]), SamplingParams(temperature=0, max_tokens=8, ignore_eos=i))
            for i in (False, True)
        ]
        finish(made)
        ended, ignored = (made.output(name).outputs[0] for name in names)
    finally:
        model.config = config
    assert ended.token_ids == text[: text.index(text[3]) + 1] and ended.finish_reason == "stop"
    assert ended.text == tokenizer().decode(ended.token_ids[:-1])
    assert ignored.token_ids == text and ignored.finish_reason == "length"


def texts_end_where_they_are_told_to(house):
    """A stop token counts from the first position after min_tokens, and held text is shown when nothing came of it."""
    text = greedy(BASE[:6])
    assert text[3] not in text[:3]
    for least, count in ((0, 4), (3, 4), (4, None)):
        params = SamplingParams(temperature=0, max_tokens=8, stop_token_ids=[text[3]], min_tokens=least)
        made = engine(house)
        name = made.add_request(list(BASE[:6]), params)
        finish(made)
        out = made.output(name).outputs[0]
        assert out.token_ids == (text[:count] if count else oracle(FAMILY, BASE[:6], params, 11, 0)[0])
        assert count is None or out.finish_reason == "stop"
    shown = tokenizer().decode(text)
    made = engine(house)
    name = made.add_request(list(BASE[:6]), SamplingParams(temperature=0, max_tokens=8, stop=shown[-2:] + "¤"))
    finish(made)
    assert made.output(name).outputs[0].text == shown


def right_guesses_save_steps(house):
    """A proposer that knows the text: three guesses and one token more are written in every step."""
    day = Day(FAMILY, (Ask(BASE[:5], SamplingParams(temperature=0, max_tokens=9)),), dict(num_blocks=40), 10**6)
    diary = judge(day, live(house, day))
    assert [len(c.token_ids) for c in diary.chunks["0", 0]] == [1, 4, 4]


def the_last_position_and_not_one_more(house):
    made = engine(house)
    name = made.add_request([5] * 60, SamplingParams(temperature=0, max_tokens=5))
    finish(made)
    assert len(made.output(name).outputs[0].token_ids) == 5
    refused(lambda: made.add_request([5] * 60, SamplingParams(max_tokens=6)), InvalidValue, "use max_tokens=5")
    refused(lambda: made.add_request([5] * 66, SamplingParams(max_tokens=1)), InvalidValue, "to at most 64 tokens")


PROMISES = (
    random_days, preempted_texts_go_on, samples_share_the_prompt, one_failing_text_ends_alone,
    a_failing_sample_leaves_the_others, a_tokenizer_that_raises_costs_one_text, an_interruption_leaves_an_engine_that_works,
    proposers_may_be_wrong_in_any_way, aborts_are_exact, wrong_requests_change_nothing,
    what_samples_share_was_not_found, a_free_name_is_nobodys,
    salts_and_priorities_reach_the_scheduler, a_request_without_a_seed_gets_one, traces_say_what_was_done,
    the_same_alone_and_in_company, end_tokens_end_texts_unless_ignored,
    texts_end_where_they_are_told_to, right_guesses_save_steps,
    the_last_position_and_not_one_more,
)  # fmt: skip
CHECKS = {check.__name__: check for check in PROMISES}
