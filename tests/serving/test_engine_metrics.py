"""An engine's metrics agree with what it wrote: tokens, ends, moments, and the text that a monitor reads."""

import itertools
import re

import pytest

from minillm.model import load_model, load_tokenizer
from minillm.serving.engine import LLMEngine
from minillm.serving.sampling_params import SamplingParams
from minillm.serving.watching.instruments import Counter

SAMPLE = re.compile(r'minillm:[a-z0-9_]+(\{[a-z_]+="[^"]*"\})? (\d+|\d+\.\d+(e-?\d+)?|\+Inf)')


def ticking():
    """A clock that goes on by a quarter of a second whenever it is read."""
    ticks = itertools.count()
    return lambda: next(ticks) / 4


@pytest.fixture(scope="module")
def model(folder):
    return load_model(folder), load_tokenizer(folder)


def run(model, steps_between=2, abort_at=None, **options):
    """Eight requests that come one after another -> the engine, after its last step, and its counters after each step."""
    engine, totals = LLMEngine(*model, block_size=4, clock=ticking(), new_seed=lambda: 0, **options), []

    def step():
        engine.step()
        counters = (one for one in engine.metrics.instruments if isinstance(one, Counter))
        totals.append([one.value for one in counters])

    for number in range(8):
        params = SamplingParams(max_tokens=3 + number, temperature=0, ignore_eos=True, n=1 + number % 2)
        engine.add_request([1 + number, 2, 3, 4, 5], params, request_id=f"r{number}")
        for _ in range(steps_between):
            step()
        if number == abort_at:
            engine.abort("r0" if engine.output("r0").outputs[0].finish_reason is None else f"r{number}")
    while engine.has_unfinished:
        step()
    return engine, totals


WAYS = {
    "plain": {},
    "chunks": {"max_num_batched_tokens": 3},
    "few blocks": {"num_blocks": 6},
    "static": {"policy": "static"},
    "guesses": {"speculative": "ngram"},
    "aborted": {"abort_at": 5},
    "no prefixes": {"enable_prefix_caching": False},
}


@pytest.mark.parametrize("options", WAYS.values(), ids=list(WAYS))
def test_tokens_and_ends_are_those_of_the_outputs(model, options):
    engine, totals = run(model, **options)
    outputs = [output for number in range(8) for output in engine.output(f"r{number}").outputs]
    metrics = engine.metrics
    assert metrics.generation_tokens.value == sum(len(output.token_ids) for output in outputs)
    reasons = [output.finish_reason for output in outputs]
    assert metrics.success.values == {reason: reasons.count(reason) for reason in reasons}
    assert all(a <= b for before, after in itertools.pairwise(totals) for a, b in zip(before, after, strict=True))
    assert (metrics.running.value, metrics.waiting.value) == (0, 0)
    assert sum(t.num_output_tokens for t in metrics.finished.values()) == metrics.generation_tokens.value
    assert metrics.preemptions.value == sum(len(t.preempted) for t in metrics.finished.values())


@pytest.mark.parametrize("options", WAYS.values(), ids=list(WAYS))
def test_moments_follow_each_other(model, options):
    engine, _ = run(model, **options)
    for times in engine.metrics.finished.values():
        if times.finish_reason == "abort":
            continue
        assert times.queue >= 0 and times.prefill > 0 and times.ttft <= times.e2e
        assert times.inference == pytest.approx(times.prefill + times.decode)
        assert [phase.name for phase in times.timeline] == ["queue", "prefill", "decode"]


def test_memory_that_runs_out_shows(model):
    engine, _ = run(model, num_blocks=6)
    assert engine.metrics.preemptions.value > 0
    assert any(times.preempted for times in engine.metrics.finished.values())


def test_a_monitor_can_read_it(model):
    engine, _ = run(model)
    lines = engine.metrics.text().splitlines()
    samples = [line for line in lines if not line.startswith("#")]
    assert all(SAMPLE.fullmatch(line) for line in samples if "_bucket" not in line), samples
    kinds = dict(line.split()[2:] for line in lines if line.startswith("# TYPE"))
    assert all(name.endswith("_total") == (kind == "counter") for name, kind in kinds.items())
    for name in (name for name, kind in kinds.items() if kind == "histogram"):
        counts = [int(line.split()[1]) for line in samples if line.startswith(f"{name}_bucket")]
        assert counts == sorted(counts) and f"{name}_count {counts[-1]}" in samples
