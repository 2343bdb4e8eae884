"""What a simulated day must say, each promise a check with a day small enough to be worked out by hand.

`CHECKS` maps a promise to a function of a house: the public names of the workload, cost and simulator modules, whole or with
a wrong line planted.
"""

import math
from random import Random

from minillm.errors import InvalidType, InvalidValue
from minillm.serving.schedule.config import SchedulerConfig
from minillm.serving.watching.summary import Slo

CHECKS = {}


def promise(check):
    CHECKS[check.__name__] = check
    return check


def cost_of(house, **seconds):
    """A cost with these parts, named by their first words: step, token, row, text, key, pair."""
    names = {
        "step": "a step", "token": "a token", "row": "a row scored", "text": "a text", "key": "a key",
        "pair": "a query and key",
    }  # fmt: skip
    parts = {names[name]: value for name, value in seconds.items()}
    return house.StepCost("by hand", tuple(parts.get(name, 0.0) for name in house.PARTS))


def trace(house, *arrivals, seed=0):
    """(time, prompt length, tokens wanted) each."""
    draw = Random(seed)
    return house.Workload(
        "by hand",
        [house.Arrival(time, [draw.randrange(1, 99) for _ in range(prompt)], new) for time, prompt, new in arrivals],
    )


def rules(**changes):
    return SchedulerConfig(**dict(max_num_batched_tokens=64, max_num_seqs=4) | changes)


def refused(call, kind=InvalidValue):
    try:
        call()
    except kind:
        return
    raise AssertionError("nothing was refused")


@promise
def the_clock_moves_by_what_a_step_costs(house):
    """One request, 5 tokens in and 3 out: steps of 5, 1 and 1 tokens over 5, 6 and 7 keys, 15, 6 and 7 pairs."""
    costs = {"step": 1.0, "token": 0.5, "row": 0.25, "key": 0.01, "pair": 0.001}
    day = house.simulate(trace(house, (2.0, 5, 3)), rules(), cost_of(house, **costs))
    seconds = [
        1 + 0.5 * n + 0.25 + 0.01 * keys + 0.001 * pairs for n, keys, pairs in ((5, 5, 15), (1, 6, 6), (1, 7, 7))
    ]
    assert [math.isclose(s.end - s.start, want) for s, want in zip(day.steps, seconds, strict=True)] == [True] * 3
    assert day.steps[0].start == 2.0 and math.isclose(day.duration, 2 + sum(seconds))
    (times,) = day.times
    assert (times.arrival, times.scheduled, times.finish_reason) == (2.0, 2.0, "length")
    assert times.token_times == tuple(step.end for step in day.steps)


@promise
def who_comes_during_a_step_waits_for_its_end(house):
    day = house.simulate(trace(house, (0.0, 4, 2), (0.5, 4, 1)), rules(), cost_of(house, step=1.0))
    assert [step.admitted for step in day.steps] == [("0",), ("1",)]
    assert day.times[1].queue == 0.5 and day.times[1].ttft == 1.5 and day.duration == 2.0


@promise
def who_comes_as_a_step_ends_is_in_the_next(house):
    day = house.simulate(trace(house, (0.0, 4, 2), (1.0, 4, 1)), rules(), cost_of(house, step=1.0))
    assert day.times[1].queue == 0.0 and day.steps[1].admitted == ("1",)


@promise
def idle_time_passes_at_once(house):
    day = house.simulate(trace(house, (0.0, 4, 1), (9.0, 4, 1)), rules(), cost_of(house, step=1.0))
    assert [(step.start, step.end) for step in day.steps] == [(0.0, 1.0), (9.0, 10.0)] and day.busy == 0.2


@promise
def only_the_last_piece_of_a_prompt_gives_a_token(house):
    day = house.simulate(trace(house, (0.0, 100, 2)), rules(), cost_of(house, token=0.01, row=1.0))
    shares = [step.shares[0][1:] for step in day.steps]
    assert shares == [(0, 64, "prefill"), (64, 36, "prefill"), (100, 1, "decode")]
    assert [round(moment, 9) for moment in day.times[0].token_times] == [2.0, 3.01]


@promise
def a_preempted_text_reads_again(house):
    """Two texts of 8 + 12 tokens in 8 blocks of 4: one must give way, and is read again with what it wrote."""
    config = rules(enable_prefix_caching=False)
    day = house.simulate(
        trace(house, (0.0, 8, 12), (0.0, 8, 12)), config, cost_of(house, step=1.0), num_blocks=8, block_size=4
    )
    assert day.num_preemptions >= 1 and all(times.num_output_tokens == 12 for times in day.times)
    again = [share for step in day.steps for share in step.shares if share.kind == "prefill" and share.num_tokens > 8]
    assert again and again[0].start == 0 and day.times[1].preempted
    assert day.num_tokens > 2 * 19
    for step in day.steps:
        held = {block for table in step.block_tables.values() for block in table}
        assert len(held) <= 8 and 0 <= step.num_free_blocks <= 8


@promise
def padding_is_paid_for_and_counted(house):
    """A static batch of prompts of 2 and 6: 4 rows of padding; then one ends, and its row stays for two steps."""
    config = rules(policy="static", max_num_seqs=2)
    day = house.simulate(trace(house, (0.0, 2, 1), (0.0, 6, 3)), config, cost_of(house, token=1.0))
    assert [step.num_padding_tokens for step in day.steps] == [4, 1, 1]
    assert [step.end - step.start for step in day.steps] == [12.0, 2.0, 2.0]
    assert day.num_tokens == 10 and day.padding == 6 / 16


@promise
def a_static_batch_waits_for_company_no_longer_than_asked(house):
    days = [
        house.simulate(
            trace(house, (0.0, 4, 1), (0.3, 4, 1), (0.6, 4, 1)), rules(policy="static", max_num_seqs=seats),
            cost_of(house, step=1.0), delay=delay,
        )
        for seats, delay in ((4, 0.0), (4, 0.5), (2, 0.5), (4, 9.0))
    ]  # fmt: skip
    assert [day.steps[0].start for day in days] == [0.0, 0.5, 0.3, 9.0]
    assert [len(day.steps[0].admitted) for day in days] == [1, 2, 2, 3]
    behind = trace(house, (0.0, 4, 1), (0.3, 4, 1), (1.2, 4, 1))
    day = house.simulate(behind, rules(policy="static", max_num_seqs=4), cost_of(house, step=1.0), delay=0.25)
    assert [step.start for step in day.steps] == [0.25, 1.25], "the second batch has waited long enough for the first"
    free = house.simulate(trace(house, (0.0, 4, 1)), rules(), cost_of(house, step=1.0), delay=5.0)
    assert free.steps[0].start == 0.0, "only static batches wait"


@promise
def who_finds_the_queue_full_is_turned_away(house):
    config = rules(max_num_seqs=1, max_num_waiting=1)
    day = house.simulate(trace(house, *[(0.0, 4, 2)] * 3), config, cost_of(house, step=1.0))
    reasons = [times.finish_reason for times in day.times]
    assert reasons == ["length", "abort", "abort"] and day.times[2].scheduled is None
    assert day.summary(Slo()).requests_per_s == 1 / day.duration


@promise
def shared_beginnings_are_computed_once(house):
    workload = house.shared_prefix(1.0, 6, prefix=32, groups=1, prompt=(4, 4), output=(2, 2))
    days = [
        house.simulate(workload, rules(enable_prefix_caching=kept), cost_of(house, step=0.1)) for kept in (True, False)
    ]
    assert [day.num_tokens for day in days] == [36 + 5 * 4 + 6, 6 * 37]


@promise
def every_request_is_answered_under_every_policy(house):
    for policy in ("budget", "splitfuse", "prefill_first", "static"):
        for memory in ("optimistic", "reserve"):
            workload = house.bursty(20.0, 40, prompt=(1, 60), output=(1, 20), seed=3)
            config = rules(policy=policy, memory=memory)
            cost = cost_of(house, step=0.01, token=0.001, key=1e-5)
            day = house.simulate(workload, config, cost, num_blocks=12, block_size=8)
            again = house.simulate(workload, config, cost, num_blocks=12, block_size=8)
            assert day == again, "the same day twice"
            for times, arrival in zip(day.times, workload.arrivals, strict=True):
                assert (times.num_output_tokens, times.finish_reason) == (arrival.max_tokens, "length")
                assert times.arrival == arrival.time and times.num_prompt_tokens == arrival.num_prompt_tokens
            assert day.steps[-1].num_free_blocks == 12 and day.steps[-1].num_running == 0
            assert all(a.end <= b.start for a, b in zip(day.steps, day.steps[1:], strict=False))
            assert all(step.num_tokens <= 64 for step in day.steps)


@promise
def impossible_days_are_refused_before_they_begin(house):
    cost = cost_of(house, step=1.0)
    refused(lambda: house.Simulator(trace(house, (0.0, 4, 1), (5.0, 400, 1)), rules(), cost, num_blocks=4))
    refused(lambda: house.Simulator(trace(house, (0.0, 4, 1)), rules(), cost, delay=-1.0))
    refused(lambda: house.Simulator(trace(house, (0.0, 4, 1)), rules(), cost, delay=math.nan))
    refused(lambda: house.Simulator(trace(house, (0.0, 4, 1)), rules(), cost, delay="x"), InvalidType)
    refused(lambda: house.Simulator([(0.0, 4, 1)], rules(), cost), InvalidType)
    refused(lambda: house.Simulator(trace(house, (0.0, 4, 1)), rules(), lambda work: 1.0), InvalidType)
    refused(lambda: house.Simulator(trace(house, (0.0, 4, 1)), "budget", cost), InvalidType)
    full = rules(max_num_waiting=1)
    house.Simulator(trace(house, *[(0.0, 4, 1)] * 5), full, cost)  # a full queue is no reason: it is part of the day
