"""Exercises of lesson 00: the work a loop repeats, greedy decoding with a cache, a claim to test, latency to mend."""

from __future__ import annotations

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Numbers, Property, Values, given
from minillm.lab.checks.exercise import Exercise
from minillm.lab.exercises.greedy import GREEDY
from minillm.lab.exercises.latency_cases import latency_case, parts_add_up, shifted_in_time, three_values

TOKENS_READ = Exercise(
    id="00.tokens_read",
    title="How many tokens does the naive loop read?",
    statement=(
        "The naive loop writes `new` tokens after a prompt of `prompt` tokens, and reads the whole text again for each. "
        "Return how many token positions pass through the model in all."
    ),
    signature="tokens_read(prompt, new)",
    layers={
        "values": (
            Numbers("one token after one", (1, 1), 1, "tokens", "The only pass reads the prompt, and nothing else."),
            Numbers("one new token", (200, 1), 200, "tokens", "The token written last is never read."),
            Numbers("two new tokens", (200, 2), 401, "tokens", "The second pass reads the prompt and one token more."),
            Numbers("three after seven", (7, 3), 24, "tokens", "Three passes: 7, 8 and 9 tokens."),
            Numbers("a short chat", (200, 50), 11_225, "tokens", "Each pass is one token longer than the one before."),
            Numbers("more new than old", (3, 400), 81_000, "tokens", "The sum of 0 to n − 1 is n(n − 1)/2."),
        )
    },
    hints=(
        "Write down the length of the text at the first pass, the second and the third, and add them up.",
        "Pass number i, counted from 0, reads prompt + i tokens, and there are `new` passes.",
        "return sum(the length of the text at pass i   for i in range(new))",
    ),
    solution="notebooks/solutions/lesson_00.py: tokens_read",
)


def _could_be_true(
    parameters: float, bytes_per_parameter: float, memory_bytes: float, bandwidth: float, seconds_per_token: float
) -> bool:
    weights = parameters * bytes_per_parameter
    return weights <= memory_bytes and weights / bandwidth <= seconds_per_token


def _claim(name: str, meaning: str, *numbers: float) -> Values:
    return Values(name, lambda: given(*numbers), _could_be_true, meaning)


def _faster_machine(call: LearnerCall) -> bool:
    """Doubling memory and bandwidth never makes a possible claim impossible."""
    claims = [(p, w, 80e9, 2e12, s) for p in (7e9, 39e9, 70e9) for w in (0.5, 1, 2) for s in (0.005, 0.02, 0.08)]
    return all(call(p, w, 2 * m, 2 * b, s) or not call(p, w, m, b, s) for p, w, m, b, s in claims)


COULD_BE_TRUE = Exercise(
    id="00.could_be_true",
    title="Could this latency be true?",
    statement=(
        "One accelerator, one request: return True if the claimed seconds per output token are possible. The weights must "
        "fit in memory, and every weight is read once for each token."
    ),
    signature="could_be_true(parameters, bytes_per_parameter, memory_bytes, bandwidth, seconds_per_token)",
    layers={
        "values": (
            _claim("8B in 16 bits, 10 ms", "16 GB at 2 TB/s take 8 ms.", 8e9, 2, 80e9, 2e12, 0.010),
            _claim("8B in 16 bits, 5 ms", "16 GB at 2 TB/s take 8 ms: 5 is too fast.", 8e9, 2, 80e9, 2e12, 0.005),
            _claim(
                "70B in 16 bits, 100 ms", "140 GB do not fit in 80 GB, however long it takes.", 70e9, 2, 80e9, 2e12, 0.1
            ),
            _claim("70B in 4 bits, 100 ms", "35 GB fit, and are read in 18 ms.", 70e9, 0.5, 80e9, 2e12, 0.1),
            _claim("70B in 4 bits, 10 ms", "35 GB fit, but are not read in 10 ms.", 70e9, 0.5, 80e9, 2e12, 0.01),
            _claim(
                "70B in 16 bits, big memory",
                "140 GB fit in 192 GB, and 5.3 TB/s read them in 26 ms.",
                70e9,
                2,
                192e9,
                5.3e12,
                0.03,
            ),
            _claim("a slow claim", "Slower than the limit is always possible.", 1e9, 4, 16e9, 3e11, 5.0),
        ),
        "properties": (
            Property("a better machine", _faster_machine, "More memory and bandwidth cannot make a claim impossible."),
        ),
    },
    hints=(
        "Two questions: does it fit, and can the memory be read that fast?",
        "Weights take parameters × bytes_per_parameter bytes. One token reads them all, so no token takes less than those "
        "bytes divided by the bandwidth.",
        "weights = ... bytes\nreturn (weights against memory) and (weights over bandwidth, in seconds, against the claim)",
    ),
    solution="notebooks/solutions/lesson_00.py: could_be_true",
)


LATENCY = Exercise(
    id="00.latency",
    title="Mend the latency report",
    statement=(
        "From the second a request arrived and the seconds at which its tokens came, return (ttft, tpot, end_to_end). "
        "TPOT is the mean time of a token after the first; a one-token answer has none, so it is None."
    ),
    signature="latency(arrival, token_times)",
    layers={
        "contract": (Property("three values", three_values, "Return a tuple: (ttft, tpot, end_to_end)."),),
        "values": (
            latency_case(
                "a steady stream", "Five tokens have four gaps.", 0.0, [0.5, 0.75, 1.0, 1.25, 1.5], (0.5, 0.25, 1.5)
            ),
            latency_case(
                "a long wait first",
                "Waiting for the first token belongs to TTFT alone.",
                0.0,
                [8.0, 8.25, 8.5],
                (8.0, 0.25, 8.5),
            ),
            latency_case(
                "arrives late", "The clock of a request starts when it arrives.", 4.0, [4.5, 5.0, 6.5], (0.5, 1.0, 2.5)
            ),
            latency_case(
                "an uneven stream",
                "TPOT is a mean, and a mean sees the long gap.",
                0.0,
                [1.0, 1.25, 1.5, 4.0],
                (1.0, 1.0, 4.0),
            ),
            latency_case(
                "one token",
                "One token has no gap after it: its TPOT is None, not 0 and not an error.",
                2.0,
                [2.75],
                (0.75, None, 0.75),
            ),
        ),
        "properties": (
            Property(
                "the same an hour later",
                shifted_in_time,
                "Moving arrival and tokens alike in time must change nothing.",
            ),
            Property("the parts add up", parts_add_up, "TTFT plus n − 1 times TPOT is the end-to-end latency."),
        ),
    },
    hints=(
        "Draw four ticks for four tokens and count the gaps between them.",
        "TTFT + (n − 1) · TPOT = end-to-end latency, with both ends measured from the arrival.",
        "ttft, end_to_end = first tick − arrival, last tick − arrival\n"
        "tpot = None if there is one token, else what is left after ttft, shared among the gaps",
    ),
    solution="notebooks/solutions/lesson_00.py: latency",
)

EXERCISES = (TOKENS_READ, GREEDY, COULD_BE_TRUE, LATENCY)
