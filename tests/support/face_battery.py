"""What the faces promise, LLM, AsyncLLM and the stream of characters, each as a check that raises when it is broken."""

import asyncio
import gc
import itertools
import random
from contextlib import suppress

from cached_texts import decoder
from engine_battery import BAD, FAMILY, GREEDY, greedy, refused, whole
from engine_days import BASE, OTHER, choke, oracle, tokenizer
from tokenizers.processors import TemplateProcessing

from minillm.decoding.beam import Hypothesis
from minillm.errors import InvalidValue, Unsupported
from minillm.model.tokenizer import train_tokenizer
from minillm.serving.beams import beam_search
from minillm.serving.sampling_params import SamplingParams

WORDS = "größer → naïve 🙂 <stop> <st op> der die das"
LONG = SamplingParams(temperature=0, max_tokens=40)


def llm(house, **options):
    return house.LLM(decoder(FAMILY), tokenizer(), **dict(check=True, block_size=4, num_blocks=60) | options)


def texts_never_show_half_a_character(house):
    """Random tokens are broken characters mostly: at any moment what was shown is how the whole text begins."""
    words, rng = train_tokenizer([WORDS], 290), random.Random(0)
    for _ in range(60):
        ids = [rng.randrange(words.vocab_size) for _ in range(12)]
        ids[3:3] = words.encode(rng.choice(("größer → 🙂", "naïve")))
        stream, shown, final = house.TextStream(words), "", words.decode(ids)
        for number, token in enumerate(ids, start=1):
            piece, stopped = stream.push(token, last=number == len(ids))
            shown += piece
            assert final.startswith(shown) and not stopped
        assert shown == final


def stop_strings_never_leak(house):
    """Every text of a small alphabet: cut at the first stop string that is complete, and nothing of it was ever shown."""
    letters = train_tokenizer(["ab"], 259)
    stops = ("ab", "bba", "aaaa")
    for text in map("".join, itertools.product("ab", repeat=7)):
        for free in (0, 3):
            stream, shown, ended = house.TextStream(letters, stops, free), "", False
            for number, letter in enumerate(text, start=1):
                piece, ended = stream.push(letters.encode(letter)[0], last=number == len(text))
                shown += piece
                if ended:
                    break
                held = text[len(shown) : number]
                keep = number < len(text) and max(
                    (n for s in stops for n in range(1, len(s)) if text[:number].endswith(s[:n])), default=0
                )
                assert text.startswith(shown) and len(held) == keep, (text, shown)
            first = next(((n, s) for n in range(free + 1, 8) for s in stops if text[:n].endswith(s)), None)
            assert ended == (first is not None)
            assert shown == (text[: first[0] - len(first[1])] if first else text), (text, free, shown)


def early_stops_stay_without_effect(house):
    """Complete within `min_tokens` tokens, and still held because another stop string may have begun."""
    stream = house.TextStream(tokenizer(), ("abcX", "bc"), 4)
    said = [stream.push(tokenizer().encode(letter)[0]) for letter in "xabcd"]
    assert "".join(text for text, _ in said) == "xabcd" and not any(stopped for _, stopped in said)


def of_several_stop_strings_the_first_cuts(house):
    words = train_tokenizer(["xabyab"] * 40, 280)
    [token] = words.encode("xabyab")
    for stops in (("ab",), ("yab", "ab"), ("ab", "yab")):
        assert house.TextStream(words, stops).push(token) == ("x", True)


def streams_are_written_along(house):
    made = llm(house)
    streams = [made.stream(list(p), LONG) for p in (BASE[:6], OTHER[:6])]
    first = [next(stream) for stream in streams for _ in range(2)]
    [out] = made.generate(list(BASE[3:9]), GREEDY)
    assert out.outputs[0].token_ids == greedy(BASE[3:9])
    for stream, prompt, begun in zip(streams, (BASE[:6], OTHER[:6]), (first[:2], first[2:]), strict=True):
        tokens = tuple(t for c in [*begun, *stream] for t in c.token_ids)
        assert tokens == greedy(prompt, 40)
        assert next(stream, None) is None
    whole(made.engine)
    assert not made.engine.answers.done, "answered calls are remembered"


def dropped_streams_are_aborted(house):
    made = llm(house)
    for leave in (lambda s: s.close(), lambda s: s.__exit__(None, None, None), lambda s: None):
        stream = made.stream(list(BASE[:6]), LONG)
        next(stream)
        leave(stream)
        stream = made.stream(list(BASE[:6]), LONG)  # never asked for anything
        del stream
        gc.collect()
        made.generate([1], GREEDY)
        whole(made.engine)


def an_interrupted_call_leaves_nothing(house):
    made, count = llm(house), itertools.count()
    original = made.engine.worker.loop.step

    def step(*arguments):
        if next(count) == 3:
            raise KeyboardInterrupt
        return original(*arguments)

    made.engine.worker.loop.step = step
    for calls in (1, 5):
        with suppress(KeyboardInterrupt):
            made.generate([list(BASE[: 3 + i]) for i in range(calls)], LONG)
        whole(made.engine)
        assert not made.engine.answers.done


def everything_is_checked_before_anything_runs(house):
    made = llm(house, num_blocks=10)
    made.engine.step = lambda: refused(lambda: None, ValueError, "work was done")
    good, long = list(BASE[:4]), [1] * 40
    for prompts, params, text in (
        ([good, []], None, "at least one token"),
        ([good, long], SamplingParams(max_tokens=30), "64 positions"),
        ([good, long], SamplingParams(max_tokens=2), "the pool's 10 blocks"),
        ([good, good], [GREEDY], "1 for 2 prompts"),
        ([good, "é"], None, "token ids lie in 0 … 60"),
    ):
        refused(lambda prompts=prompts, params=params: made.generate(prompts, params), InvalidValue, text)
        whole(made.engine)
        assert not made.engine.answers.done
    refused(lambda: made.stream(long, SamplingParams(max_tokens=2)), InvalidValue, "the pool's 10 blocks")
    refused(lambda: made.stream(good, [GREEDY, GREEDY]), InvalidValue, "2 for 1 prompts")
    whole(made.engine)


def chats_are_prompts_by_template(house):
    template = "{% for m in messages %}<{{ m.role|upper }}>{{ m.content }}{% endfor %}{% if add_generation_prompt %}<A>{% endif %}"
    made = llm(house, chat_template=template)
    said = [dict(role="user", content="HI"), dict(role="a", content="NO")]
    text = "<USER>HI<A>NO<A>"
    [out] = made.chat(said, GREEDY)
    ids = tokenizer().encode(text)
    assert out.prompt == text and out.prompt_token_ids == tuple(ids)
    assert out.outputs[0].token_ids == greedy(ids)
    outs = made.chat([said, said[:1]], GREEDY, add_generation_prompt=False)
    assert [o.prompt for o in outs] == ["<USER>HI<A>NO", "<USER>HI"]
    refused(lambda: llm(house).chat(said), Unsupported, "has none; use generate with text")
    refused(lambda: made.chat([]), InvalidValue, "at least one message")


def chats_begin_once(house):
    """A template writes the start token itself, so the tokenizer must not."""
    begins = train_tokenizer(["abc"], 300)
    begins.bpe.post_processor = TemplateProcessing(single="<|endoftext|> $A", special_tokens=[("<|endoftext|>", 0)])
    made = house.LLM(decoder(FAMILY), begins, chat_template="{{ bos_token }}{{ messages[0].content }}", block_size=4)
    made.chat_template.special_tokens["bos_token"] = "<|endoftext|>"
    [out] = made.chat([dict(role="user", content="HI")], GREEDY)
    assert out.prompt_token_ids == (0, *tokenizer().encode("HI"))
    assert made.generate("HI", GREEDY)[0].outputs == out.outputs


def beams_come_best_first_and_leave_nothing(house):
    made = llm(house)
    model = decoder(FAMILY)
    ids = tokenizer().encode("ABC")
    want = beam_search(model, model.new_paged_cache(60, 4), [ids], beam_width=3, max_tokens=5, stop_token_ids=(34,))[0]
    [out] = made.beam_search("ABC", 3, 5, stop_token_ids=[34])
    got = [
        Hypothesis(o.token_ids, o.cumulative_logprob / len(o.token_ids), o.cumulative_logprob, o.finish_reason)
        for o in out.outputs
    ]
    assert [g.token_ids for g in got] == [w.token_ids for w in want] and [g.finish_reason for g in got] == [
        w.finish_reason for w in want
    ]
    assert all(abs(g.score - w.score) < 1e-9 for g, w in zip(got, want, strict=True))
    assert [o.text for o in out.outputs] == [
        tokenizer().decode([t for t in o.token_ids if t != 34]) for o in out.outputs
    ]
    assert any(34 in o.token_ids for o in out.outputs)
    assert out.prompt == "ABC" and [o.index for o in out.outputs] == [0, 1, 2]
    assert made.beam_search([1, 2], 1, 8)[0].outputs[0].token_ids == greedy([1, 2])
    refused(lambda: made.beam_search("ABC", 0), InvalidValue, "at least 1")
    refused(lambda: made.beam_search("ABC", max_tokens=64), InvalidValue, "64 positions")
    whole(made.engine)


async def collect(stream):
    return [chunk async for chunk in stream]


async def until(happened):
    while not happened():
        await asyncio.sleep(0.0005)


def run_async(house, play, **options):
    """An AsyncLLM, what is played with it, and whether it is whole afterwards."""
    options = dict(check=True, block_size=4, num_blocks=60) | options

    async def all_of_it():
        made = house.AsyncLLM(decoder(FAMILY), tokenizer(), **options)
        await asyncio.wait_for(play(made), getattr(house, "patience", 30))
        await asyncio.wait_for(made.aclose(drain=False), 5)
        whole(made.engine)

    asyncio.run(all_of_it())


def tasks_get_their_own_texts(house):
    async def play(made):
        params = [SamplingParams(seed=i, max_tokens=4 + i, n=1 + i % 2) for i in range(8)]
        streams = [collect(made.stream(list(BASE[: i + 1]), p)) for i, p in enumerate(params)]
        outputs = [made.generate(list(BASE[: i + 1]), p) for i, p in enumerate(params)]
        got = await asyncio.gather(*streams, *outputs)
        for i, p in enumerate(params):
            for index in range(p.n):
                want = oracle(FAMILY, BASE[: i + 1], p, i, index)[0]
                assert tuple(t for c in got[i] if c.index == index for t in c.token_ids) == want
                assert got[8 + i].outputs[index].token_ids == want
        assert not made.engine.answers.done, "answers are remembered that nobody can ask for"

    run_async(house, play)


def who_leaves_takes_the_request_along(house):
    async def play(made):
        async def first_of(stream):
            async for _ in stream:
                return

        await first_of(made.stream(list(BASE[:6]), LONG))
        stream = made.stream(list(BASE[:6]), LONG)
        await anext(stream)
        await stream.aclose()
        await until(lambda: not made.engine.has_unfinished)
        task = asyncio.create_task(made.generate(list(BASE[:6]), LONG))
        await until(lambda: made.engine.has_unfinished)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert task.cancelled()
        [out] = (await made.generate([1], GREEDY)).outputs
        assert out.token_ids == greedy([1])
        assert made.engine.metrics.success.values == {"abort": 3, "length": 1}
        assert not made.engine.answers.live
        await until(lambda: not made._driver._mail)

    run_async(house, play)


def a_closed_engine_drains_or_rejects(house):
    for drain in (True, False):

        async def play(made, drain=drain):
            tasks = [asyncio.create_task(collect(made.stream(list(BASE[: 3 + i]), LONG))) for i in range(3)]
            tasks.append(asyncio.create_task(made.generate(list(OTHER[:3]), LONG)))
            await until(lambda: made.engine.has_unfinished)
            await made.aclose(drain=drain)
            *streams, output = await asyncio.gather(*tasks)
            reason = "length" if drain else "abort"
            assert [chunks[-1].finish_reason for chunks in streams] == [reason] * 3
            assert output.outputs[0].finish_reason == reason
            try:
                await made.generate([1], GREEDY)
            except house.EngineClosed:
                pass
            else:
                raise AssertionError("a closed engine takes requests")

        run_async(house, play)


def errors_reach_the_one_who_asked(house):
    async def play(made):
        choke(made.engine, BAD)
        good, bad, wrong, full = await asyncio.gather(
            made.generate(list(BASE[:6]), GREEDY),
            collect(made.stream([1, BAD], GREEDY)),
            made.generate([61], GREEDY),
            made.generate([1] * 40, SamplingParams(max_tokens=2)),
            return_exceptions=True,
        )
        assert good.outputs[0].token_ids == greedy(BASE[:6])
        assert bad[-1].finish_reason == "error" and bad[-1].error == "RuntimeError: the model choked"
        assert isinstance(wrong, InvalidValue) and "0 … 60" in str(wrong)
        assert isinstance(full, InvalidValue) and "the pool's 10 blocks" in str(full)

    run_async(house, play, num_blocks=10)


def a_listener_that_raises_hangs_nobody(house):
    def raises(trace):
        if trace.index == 2:
            raise RuntimeError("a listener's own")

    async def play(made):
        got = await asyncio.gather(*(made.generate([i + 1], GREEDY) for i in range(3)), return_exceptions=True)
        assert [str(e) for e in got] == ["a listener's own"] * 3
        assert (await made.generate([1], GREEDY)).outputs[0].token_ids == greedy([1])
        assert made.engine.metrics.success.values == {"abort": 3, "length": 1}, "texts go on that nobody waits for"

    run_async(house, play, on_step=raises)


def leaving_by_an_error_aborts(house):
    """Whoever leaves the `async with` in peace waits for what was asked; an error does not."""
    for reason in ("length", "abort"):

        async def play(made, reason=reason):
            with suppress(KeyError):
                async with made:
                    task = asyncio.create_task(made.generate(list(BASE[:3]), LONG))
                    await until(lambda: made.engine.has_unfinished)
                    if reason == "abort":
                        raise KeyError
            assert (await task).outputs[0].finish_reason == reason

        run_async(house, play)


def nobody_left_ends_the_thread(house):
    async def play():
        made = house.AsyncLLM(decoder(FAMILY), tokenizer(), block_size=4, num_blocks=60)
        await made.generate([1], GREEDY)
        return made._driver._thread

    thread = asyncio.run(play())
    gc.collect()
    thread.join(getattr(house, "patience", 30))
    assert not thread.is_alive(), "an engine that nobody can ask keeps its thread"


PROMISES = (
    texts_never_show_half_a_character, stop_strings_never_leak, early_stops_stay_without_effect,
    of_several_stop_strings_the_first_cuts, streams_are_written_along, dropped_streams_are_aborted,
    an_interrupted_call_leaves_nothing, everything_is_checked_before_anything_runs, chats_are_prompts_by_template,
    chats_begin_once, beams_come_best_first_and_leave_nothing, tasks_get_their_own_texts, who_leaves_takes_the_request_along,
    a_closed_engine_drains_or_rejects, errors_reach_the_one_who_asked, a_listener_that_raises_hangs_nobody,
    leaving_by_an_error_aborts, nobody_left_ends_the_thread,
)  # fmt: skip
CHECKS = {check.__name__: check for check in PROMISES}
