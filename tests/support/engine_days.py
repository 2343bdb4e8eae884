"""Days of an engine: who asks for what and when, what is then written, and what each text must be.

The oracle knows nothing of engines: it reads the whole text again for every token, one text at a time, in float64, and
chooses by the same noise. Whatever arrives beside it, however its memory is cut up, taken away or shared, a text must be that.
"""

import itertools
from dataclasses import dataclass, field
from functools import cache

import torch
from cached_texts import FAMILIES, decoder, text

from minillm.decoding.sampling import Choice, choose_tokens, uniform_noise
from minillm.model.tokenizer import train_tokenizer
from minillm.serving.sampling_params import SamplingParams

BASE = tuple(text(24, seed=5)[0].tolist())
OTHER = tuple(text(24, seed=6)[0].tolist())
PROMPTS = [BASE[:n] for n in (1, 2, 4, 5, 8, 9, 13, 16, 17)]
PROMPTS += [BASE[:8] + OTHER[:n] for n in (1, 4, 8)] + [OTHER[:n] for n in (3, 12)]
PROMPTS += [(7, 8, 9) * 4, (5, 5, 5, 5, 5)]  # what a look-up finds again


@cache
def tokenizer():
    """Ids 1 … 60 are one ASCII character each, 0 is special, and decoders know no id above 60."""
    return train_tokenizer(["abc"], 300)


@dataclass(frozen=True)
class Ask:
    """A request: at which step it comes, and at which it is aborted, if it is still written then."""

    prompt: tuple
    params: SamplingParams
    step: int = 0
    abort: int | None = None
    priority: int = 0
    salt: str | None = None


@dataclass(frozen=True)
class Day:
    """An engine's options and what is asked of it.

    `guesses` lets a proposer that knows the future, mostly, take part; the model raises when it is shown the token `bad`.
    """

    family: str
    asks: tuple
    options: dict
    guesses: int | None = None
    bad: int | None = None


@dataclass
class Diary:
    """What happened: outputs and chunks by ask, traces, and what was counted."""

    engine: object
    names: list = field(default_factory=list)
    outputs: list = field(default_factory=list)
    chunks: dict = field(default_factory=dict)
    traces: list = field(default_factory=list)
    aborted: set = field(default_factory=set)

    def count(self, **more):
        """How often each of the things that are hard to get right did happen."""
        metrics = self.engine.metrics
        return dict(
            preempted=int(metrics.preemptions.value),
            found=int(metrics.prefix_hits.value),
            aborted=len(self.aborted),
            failed=sum(one.finish_reason == "error" for out in self.outputs for one in out.outputs),
            cut=sum(s.kind == "prefill" and s.num_tokens > 1 for t in self.traces for s in t.shares),
            forked=sum(len(o.outputs) - 1 for o in self.outputs),
            accepted=sum(len(c.token_ids) > 1 for chunks in self.chunks.values() for c in chunks),
            mixed=sum(len({s.kind for s in t.shares}) == 2 for t in self.traces),
            **more,
        )


def seed_of(ask):
    """What an engine that is given this for new_seed must use too."""
    return 11 if ask.params.seed is None else ask.params.seed


@cache
def oracle(family, prompt, params, seed, index):
    """-> (tokens, log-probabilities of each, finish reason) of text `index`, stop strings not looked at."""
    model, written, told = decoder(family), [], []
    for position in range(params.max_tokens):
        logits = model(torch.tensor([[*prompt, *written]]))[0, -1:]
        banned = params.stop_token_ids if position < params.min_tokens else ()
        noise = uniform_noise(seed, index, position)
        [token] = choose_tokens(logits, [Choice(params, noise, prompt, list(written), banned)])
        written.append(token)
        told.append(logits.float().log_softmax(-1)[0])
        if token in params.stop_token_ids:
            return tuple(written), told, "stop"
    return tuple(written), told, "length"


def expected(ask, family, index):
    """-> (token ids, text, reason): the oracle's, cut where the first stop string is complete."""
    tokens, _, reason = oracle(family, ask.prompt, ask.params, seed_of(ask), index)
    silent = tokens[-1] in ask.params.stop_token_ids
    free = len(tokenizer().decode(tokens[: ask.params.min_tokens]))
    for count in range(ask.params.min_tokens + 1, len(tokens) + 1):
        shown = tokenizer().decode(tokens[: count - (silent and count == len(tokens))])
        cuts = [at for stop in ask.params.stop for at in range(len(shown)) if shown.startswith(stop, at)]
        cuts = [at for at in cuts for stop in ask.params.stop if shown.startswith(stop, at) and at + len(stop) > free]
        if cuts:
            return tokens[:count], shown[: min(cuts)], "stop"
    return tokens, tokenizer().decode(tokens[: len(tokens) - silent]), reason


class Seer:
    """Proposes what the oracle writes, and every `wrong`-th time something else. With `wrong` 0 it is never right."""

    vocab_size = None

    def __init__(self, day, k=3):
        self.day, self.k, self.asked, self.known = day, k, 0, set()

    def propose(self, requests, k, choice_of=None):
        drafts = [self._propose(request)[:k] for request in requests]
        self.known |= {request.request_id for request in requests}
        return drafts

    def forget(self, request):
        self.known.discard(request.request_id)

    def _propose(self, request):
        self.asked += 1
        name, _, index = request.request_id.partition("#")
        ask = self.day.asks[int(name)]
        tokens, _, _ = oracle(self.day.family, ask.prompt, ask.params, seed_of(ask), int(index or 0))
        coming = [*tokens[request.num_output_tokens :], 1, 2, 3]
        if not self.day.guesses or self.asked % self.day.guesses == 0:
            place = self.asked % self.k
            coming[place] = (coming[place] + 1) % 61
        return coming


def live(house, day, **more):
    """Go through a day, every step checked -> its diary."""
    ticks = itertools.count()
    diary = Diary(None)
    options = dict(check=True, clock=lambda: next(ticks) / 8, new_seed=lambda: 11, on_step=diary.traces.append)
    if day.guesses is not None:
        options["speculative"] = Seer(day)
    options |= day.options | more
    engine = diary.engine = house.LLMEngine(decoder(day.family), tokenizer(), **options)
    if day.bad is not None:
        choke(engine, day.bad)
    step = 0
    while engine.has_unfinished or any(ask.step >= step for ask in day.asks):
        for number, ask in enumerate(day.asks):
            name = str(number)
            if ask.step == step:
                said = dict(request_id=name, priority=ask.priority, salt=ask.salt)
                assert engine.add_request(list(ask.prompt), ask.params, **said) == name
            if ask.abort == step and name in engine.answers.live:
                engine.abort(name)
                diary.aborted.add(name)
        for chunk in engine.step():
            assert chunk.request_id not in diary.aborted, "an aborted text is written on"
            diary.chunks.setdefault((chunk.request_id, chunk.index), []).append(chunk)
        step += 1
        assert step < 600, "a day that does not end"
    diary.outputs = [engine.output(str(number)) for number in range(len(day.asks))]
    return diary


def choke(engine, bad, *, at_scores=False):
    """Make the model raise, or score NaN, for whoever shows it the bad token."""
    original = engine.worker.loop.step

    def step(token_ids, batch, rows=None):
        is_bad = token_ids == bad
        if is_bad.any() and not at_scores:
            raise RuntimeError("the model choked")
        logits = original(token_ids, batch, rows)
        wanted = torch.tensor(batch.counts).cumsum(0) - 1 if rows is None else rows
        return logits.masked_fill(is_bad[wanted, None], float("nan"))

    engine.worker.loop.step = step


def failing(day, ask, tokens):
    """How many tokens are written until the model is shown the bad one, or None."""
    if day.bad in ask.prompt:
        return 0
    return tokens.index(day.bad) + 1 if day.bad in tokens[:-1] else None


def judge(day, diary):
    """Every text is the oracle's, what was streamed is what was written, and the pool is whole."""
    for number, (ask, out) in enumerate(zip(day.asks, diary.outputs, strict=True)):
        assert out.prompt_token_ids == ask.prompt and len(out.outputs) == ask.params.n
        failed = any(one.finish_reason == "error" for one in out.outputs)
        assert out.error == ("RuntimeError: the model choked" if failed else None)
        assert out.num_cached_tokens < len(ask.prompt)
        for one in out.outputs:
            chunks = diary.chunks.get((str(number), one.index), [])
            judge_text(day, ask, one, str(number) in diary.aborted)
            judge_stream(one, chunks)
    engine = diary.engine
    engine.scheduler.check()
    assert engine.cache.pool.num_used == 0 and not engine.scheduler.requests, "something is left behind"
    assert (day.bad is not None or engine.worker.num_failed_passes == 0) and engine.num_failed_proposals == 0
    assert not getattr(engine.proposer, "known", None), "the proposer was not told to forget"
    written = sum(len(one.token_ids) for out in diary.outputs for one in out.outputs)
    assert engine.metrics.generation_tokens.value == written
    judge_traces(day, diary)
    return diary


def judge_text(day, ask, one, was_aborted):
    tokens, shown, reason = expected(ask, day.family, one.index)
    count = len(one.token_ids)
    where = f"text {one.index} of {ask}"
    fails_at = failing(day, ask, tokens)
    if fails_at is not None and one.finish_reason != "abort":
        assert one.finish_reason == "error" and one.token_ids == tokens[:fails_at], where
        assert shown.startswith(one.text) and (ask.params.stop or one.text == tokenizer().decode(one.token_ids)), where
    elif one.finish_reason == "abort":
        assert was_aborted, where
        assert one.token_ids == tokens[:count] and shown.startswith(one.text), where
    else:
        assert (one.token_ids, one.text, one.finish_reason) == (tokens, shown, reason), where
    if ask.params.logprobs is None:
        assert one.logprobs is None and one.cumulative_logprob is None
        return
    _, told, _ = oracle(day.family, ask.prompt, ask.params, seed_of(ask), one.index)
    assert len(one.logprobs) == count
    for token, got, row in zip(one.token_ids, one.logprobs, told, strict=False):
        best = set(row.topk(ask.params.logprobs).indices.tolist()) | {token}
        assert set(got) == best and all(abs(got[i] - row[i].item()) < 1e-5 for i in best), where
    total = sum(row[token].item() for token, row in zip(one.token_ids, told, strict=False))
    assert abs(one.cumulative_logprob - total) < 1e-4


def judge_stream(one, chunks):
    assert "".join(c.text for c in chunks) == one.text
    assert tuple(t for c in chunks for t in c.token_ids) == one.token_ids
    reasons = [c.finish_reason for c in chunks]
    last = [] if one.finish_reason == "abort" else [one.finish_reason]
    assert [c.error is not None for c in chunks] == [reason == "error" for reason in reasons]
    assert reasons == [None] * (len(chunks) - len(last)) + last
    if one.logprobs is not None:
        assert tuple(p for c in chunks for p in c.logprobs or ()) == one.logprobs


def judge_traces(day, diary):
    config = diary.engine.scheduler.config
    ended = [name for trace in diary.traces for name in trace.finished]
    assert len(ended) == len(set(ended))
    for number, trace in enumerate(diary.traces):
        assert trace.index == number and trace.start < trace.end
        assert 0 < trace.num_tokens <= config.max_num_batched_tokens
        assert len(trace.shares) <= config.max_num_seqs and trace.num_running <= config.max_num_seqs
        size = diary.engine.cache.pool.block_size
        for share in trace.shares:
            assert len(trace.block_tables[share.request_id]) == -(-(share.start + share.num_tokens) // size)


def make_ask(choose, family):
    """A request for one of the few prompts, so that beginnings are shared; `choose(options)` takes one of them."""
    prompt, greedy, most = choose(PROMPTS), choose((True, False)), choose((1, 4, 10, 10))
    said = dict(max_tokens=most, temperature=0.0 if greedy else 1.0, n=choose((1, 1, 2, 3)))
    if not greedy:
        said |= dict(seed=choose((None, 3)), top_p=choose((1.0, 0.9)))
    kind = choose(("plain", "plain", "penalties", "ends", "logprobs", "stop"))
    if kind == "penalties":
        said |= dict(repetition_penalty=1.3, frequency_penalty=0.5)
    if kind == "ends":
        said |= dict(stop_token_ids=tuple(range(0, 61, 5)), min_tokens=choose(range(most + 1)))
    if kind == "logprobs":
        said |= dict(logprobs=choose((0, 3)))
    if kind == "stop":
        shown = expected(Ask(prompt, SamplingParams(**said)), family, 0)[1]
        at = choose(range(max(1, len(shown) - 1)))
        said |= dict(stop=(shown[at : at + 2] or "x", "never there"), min_tokens=choose((0, 0, min(2, most))))
    abort = choose((None, None, None, 2, 5, 9))
    return Ask(prompt, SamplingParams(**said), choose(range(7)), abort, choose((0, 1, 2)), choose((None, None, "s")))


def make_day(choose):
    """A day on which all that was asked for can be done, in a pool that is as small as that allows, or hardly larger."""
    family = choose(tuple(FAMILIES))
    asks = tuple(make_ask(choose, family) for _ in range(choose((1, 3, 4, 5, 5))))
    longest = max(len(ask.prompt) + ask.params.max_tokens - 1 for ask in asks)
    size = choose((1, 2, 4, 7))
    policy = choose(("budget", "budget", "splitfuse", "prefill_first", "static"))
    chunked = policy == "splitfuse" or choose((True, False))
    budget = choose(range(1, 25))
    if not chunked or policy in ("prefill_first", "static"):
        budget = max(budget, max(len(ask.prompt) for ask in asks))
    options = dict(
        block_size=size,
        num_blocks=-(-longest // size) + choose((0, 0, 1, 4, 30)),
        max_num_batched_tokens=budget,
        max_num_seqs=choose((1, 3, 8, 8)),
        policy=policy,
        memory=choose(("optimistic", "optimistic", "optimistic", "reserve")),
        order=choose(("fcfs", "priority")),
        enable_chunked_prefill=chunked,
        enable_prefix_caching=choose((True, False)),
        long_prefill_token_threshold=choose((None, None, 3)),
    )
    guesses = choose((None, None, 0, 2, 5))
    if guesses is None and choose((True, False)):
        options["speculative"] = "ngram"
    # A guess at a bad token would fail a text that has none.
    is_sound = guesses is not None or "speculative" in options or choose((True, False))
    return Day(family, asks, options, guesses, None if is_sound else choose((BASE[6], OTHER[1], *range(8))))
