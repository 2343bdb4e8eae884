"""A text is the same with drafts and without: whoever guesses, however the tokens are chosen, also where memory runs out.

In float64, so that a pass over five tokens and one over a single token agree in every choice.
"""

import random

import pytest
from drafts_battery import MODEL, V, greedy

from minillm.errors import InvalidValue
from minillm.serving.engine import LLMEngine
from minillm.serving.sampling_params import SamplingParams
from minillm.serving.speculation.draft_model import DraftModelProposer
from minillm.serving.speculation.drafts import NgramProposer


class Told:
    """Knows what will be written, and says it; of every fourth request the opposite, at a place of its own."""

    k, vocab_size = 3, V

    def __init__(self, texts):
        self.texts, self.forgotten = texts, set()

    def propose(self, requests, k, choice_of=None):
        proposals = []
        for request in requests:
            text = self.texts[tuple(request.prompt_token_ids)]
            ahead = text[request.num_output_tokens :][:k]
            if len(text) % 4 == 0:
                ahead = [(token + (i == len(text) % 3)) % V for i, token in enumerate(ahead)]
            proposals.append(ahead)
        return proposals

    def forget(self, request):
        self.forgotten.add(request.request_id)


class Babbler:
    """Says anything, also what no vocabulary has, and now and then nothing but an exception."""

    k, vocab_size = 4, None

    def __init__(self):
        self.rng = random.Random(0)

    def propose(self, requests, k, choice_of=None):
        if self.rng.random() < 0.2:
            raise RuntimeError("lost for words")
        return [[self.rng.randrange(-1, V + 2) for _ in range(self.rng.randrange(k + 1))] for _ in requests]

    def forget(self, request):
        pass


def written(prompts, params, proposer, **options):
    """-> the outputs, and the engine after it."""
    engine = LLMEngine(MODEL, block_size=4, speculative=proposer, check=True, **options)
    names = [engine.add_request(prompt, one) for prompt, one in zip(prompts, params, strict=True)]
    preempted = 0
    while engine.has_unfinished:
        engine.step()
        preempted = max(preempted, *(r.num_preemptions for r in engine.scheduler.requests.values()), 0)
    return [engine.output(name).outputs for name in names], engine, preempted


def days(seed):
    """Prompts that repeat themselves, and one way of choosing for each."""
    rng = random.Random(seed)
    prompts = [[rng.randrange(4) for _ in range(rng.randrange(1, 14))] for _ in range(7)]
    kinds = [
        dict(temperature=0),
        dict(temperature=0.8, seed=3),
        dict(temperature=1.5, top_k=5, seed=4),
        dict(temperature=0, repetition_penalty=1.3, frequency_penalty=0.5),
        dict(temperature=0, min_tokens=9),
        dict(temperature=0.5, seed=5, n=2),
        dict(temperature=0, stop_token_ids=(3, 8)),
    ]
    return prompts, [SamplingParams(max_tokens=rng.randrange(1, 24), logprobs=1, **kind) for kind in kinds]


@pytest.mark.parametrize("memory", ["plenty", "scarce"])
@pytest.mark.parametrize("who", ["ngram", "draft model", "told", "babbler"])
def test_a_text_is_the_same_with_drafts(who, memory):
    prompts, params = days(11)
    options = dict(num_blocks=200) if memory == "plenty" else dict(num_blocks=14, max_num_batched_tokens=24)
    want, _, _ = written(prompts, params, None, num_blocks=200)
    texts = {tuple(prompt): list(outputs[0].token_ids) for prompt, outputs in zip(prompts, want, strict=True)}
    made = {
        "ngram": lambda: NgramProposer(3),
        "draft model": lambda: DraftModelProposer(MODEL, 30, 3, block_size=4),
        "told": lambda: Told(texts),
        "babbler": Babbler,
    }[who]()
    got, engine, preempted = written(prompts, params, made, **options)
    for outputs, wanted in zip(got, want, strict=True):
        assert [o.token_ids for o in outputs] == [o.token_ids for o in wanted]
        assert [o.finish_reason for o in outputs] == [o.finish_reason for o in wanted]
        for a, b in zip(outputs, wanted, strict=True):
            assert [set(told) for told in a.logprobs] == [set(told) for told in b.logprobs]
            assert a.cumulative_logprob == pytest.approx(b.cumulative_logprob)
    assert preempted > 0 or memory == "plenty"
    assert engine.cache.pool.num_used == 0
    assert bool(engine.num_failed_proposals) == (who == "babbler")
    if isinstance(made, Told):
        assert len(made.forgotten) >= len(prompts)
    if isinstance(made, DraftModelProposer):
        assert made.cache.pool.num_used == 0


def test_right_guesses_are_tokens_for_nothing():
    """A model that guesses for itself is always right: k + 1 tokens a pass."""
    prompt, count = [1, 2, 3], 33  # the prompt's pass writes one, eight passes over four tokens write the rest
    made = DraftModelProposer(MODEL, 30, 3, block_size=4)
    [[output]], engine, _ = written([prompt], [SamplingParams(temperature=0, max_tokens=count, ignore_eos=True)], made)
    assert list(output.token_ids) == greedy(MODEL, prompt, count)
    assert engine.num_steps == 1 + (count - 1) // 4


def test_drafts_of_a_kept_text_are_not_found_by_another():
    """Blocks that hold drafts are not known by their contents until the drafts are verified."""
    wrong = Told({})
    wrong.propose = lambda requests, k, choice_of=None: [[7] * 3 for _ in requests]
    prompts = [[1, 2, 3], [1, 2, 3, *greedy(MODEL, [1, 2, 3], 6), 7, 7, 7, 7, 5]]
    params = [SamplingParams(temperature=0, max_tokens=12, ignore_eos=True)] * 2
    engine = LLMEngine(MODEL, block_size=4, speculative=wrong, check=True, num_blocks=60)
    outputs = []
    for prompt, one in zip(prompts, params, strict=True):
        name = engine.add_request(prompt, one)
        while engine.has_unfinished:
            engine.step()
        outputs.append(list(engine.output(name).outputs[0].token_ids))
    assert outputs == [greedy(MODEL, prompt, 12) for prompt in prompts]


FAULTS = {
    "every draft is kept": ("minillm.serving.compute.worker.accept_same_noise", lambda drafts, chosen: list(chosen)),
    "kept behind one that is not": (
        "minillm.serving.compute.worker.accept_same_noise",
        lambda drafts, chosen: list(chosen[: sum(a == b for a, b in zip(drafts, chosen, strict=False)) + 1]),
    ),
    "rejected drafts stay in the cache": ("minillm.cache.block_table.BlockTable.truncate", lambda table, length: None),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_the_faults_of_speculation_are_seen(fault, monkeypatch):
    prompts, params = days(11)
    want, _, _ = written(prompts, params, None, num_blocks=200)
    monkeypatch.setattr(*FAULTS[fault])
    try:
        got, _, _ = written(prompts, params, NgramProposer(3), num_blocks=200)
    except (AssertionError, InvalidValue):
        return
    assert [[o.token_ids for o in outputs] for outputs in got] != [[o.token_ids for o in outputs] for outputs in want]
