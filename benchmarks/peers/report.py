"""What a case found, as rows of a record and as a table to read.

A row is one engine on one case: seconds for all that it wrote, percentiles over the rounds. `ratio_to_torch` is the floor's
speed in it: `F.linear` for the same work and number type, measured in the same rounds, above 1 where the engine beats it.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean, median

import numpy as np
from contest import FLOOR, Case, Result, asked, tokens_per_second
from judge import Reference, compare

from minillm.measure import Measurement, Untimed

OPERATOR = "serve"
OURS = "minillm"
HEADER = (
    "| engine | tokens/s (least to most) | of F.linear | minillm is × as fast (least to most) | same texts |\n"
    "|---|---|---|---|---|"
)


def rows(
    case: Case, results: Sequence[Result], references: Sequence[Reference], threads: int
) -> tuple[list[Measurement], list[Untimed]]:
    """A Measurement for each contestant that ran all rounds, and the reason for each that did not."""
    done = [result for result in results if result.reason is None and result.turns]
    measured = [_row(case, result, done, references, threads) for result in done]
    shared = dict(operator=OPERATOR, shape=_shape(case.requests), options=_where(case, threads))
    missed = [
        Untimed(backend=r.contestant.name, dtype=r.contestant.dtype, reason=_plain(r.reason or "no round"), **shared)
        for r in results
        if r not in done
    ]
    return measured, missed


def table(case: Case, measured: Sequence[Measurement], missed: Sequence[Untimed], threads: int) -> str:
    """A case as a Markdown table."""
    lines = [f"\n### {case.name}, {threads} thread{'s' * (threads > 1)}\n", HEADER, *map(_line, measured)]
    lines += [f"| {m.backend}, {m.dtype} | {m.reason} | | | |" for m in missed]
    return "\n".join(lines)


def _row(
    case: Case, result: Result, done: Sequence[Result], references: Sequence[Reference], threads: int
) -> Measurement:
    one, speeds = result.contestant, tokens_per_second(result, case.requests)
    p20, p50, p80 = (float(x) for x in np.quantile([turn.seconds for turn in result.turns], (0.2, 0.5, 0.8)))
    others = [turn.others for turn in result.turns if turn.others is not None]
    options = _where(case, threads) | {
        "tokens_per_s": round(median(speeds), 1),
        "least": round(min(speeds), 1),
        "most": round(max(speeds), 1),
        **_ratios("minillm", _rival(done, OURS, one.dtype), result, case),
        **({} if one.name == FLOOR else _agreement(result, references)),
        **({"preload": result.preload} if result.preload else {}),
        **({"cores_used_by_others": round(fmean(others), 2)} if others else {}),
    }
    floor = _ratios("floor", _rival(done, FLOOR, one.dtype), result, case).get("floor_times_as_fast")
    return Measurement(
        operator=OPERATOR, backend=one.name, dtype=one.dtype, shape=_shape(asked(one, case.requests)),
        p20=p20, p50=p50, p80=p80, runs=len(result.turns), options=options,
        best_torch=FLOOR if floor else None, ratio_to_torch=1 / float(floor) if floor else None,
    )  # fmt: skip


def _where(case: Case, threads: int) -> dict[str, bool | int | float | str]:
    return {"case": case.name, "model": case.model, "threads": threads}


def _shape(requests: Sequence) -> dict[str, int]:
    """B texts, L tokens read, T tokens written."""
    return {
        "B": len(requests),
        "L": sum(len(request.prompt) for request in requests),
        "T": sum(request.num_tokens for request in requests),
    }


def _rival(done: Sequence[Result], name: str, dtype: str) -> Result | None:
    return next((r for r in done if (r.contestant.name, r.contestant.dtype) == (name, dtype)), None)


def _ratios(name: str, rival: Result | None, result: Result, case: Case) -> dict[str, float]:
    """How many times as fast as `result` the rival writes, in pairs of the same round: median, least and most.

    The first turns of both are those of the first round, for who misses a round misses all that follow.
    """
    if rival is None or rival is result:
        return {}
    pairs = zip(tokens_per_second(rival, case.requests), tokens_per_second(result, case.requests), strict=False)
    found = [theirs / own for theirs, own in pairs]
    values = {"times_as_fast": median(found), "least": min(found), "most": max(found)}
    return {f"{name}_{key}": round(value, 3) for key, value in values.items()}


def _agreement(result: Result, references: Sequence[Reference]) -> dict[str, bool | int | float]:
    """How many texts are the reference's; and the widest gap that was not enough, with its position."""
    found = compare(result.texts, asked(result.contestant, references))
    said: dict[str, bool | int | float] = {"texts": len(result.texts), "same_texts": found.same}
    if found.differences:
        position, gap = found.differences[0]
        said |= {"differs_at": position, "gap_there": float(f"{gap:.2g}")}
    return said if result.repeats else said | {"repeats": False}


def _line(row: Measurement) -> str:
    o = row.options
    floor = "" if row.ratio_to_torch is None else f"{row.ratio_to_torch:.2f}"
    ours = "{minillm_times_as_fast:.2f} ({minillm_least:.2f} to {minillm_most:.2f})" if "minillm_most" in o else ""
    same = f"{o['same_texts']} of {o['texts']}" if "texts" in o else ""
    if "gap_there" in o:
        same += f"; token {o['differs_at']}, gap {o['gap_there']:.0e}"
    if not o.get("repeats", True):
        same += "; not the same every round"
    return (
        f"| {row.backend}, {row.dtype} | {o['tokens_per_s']:.0f} ({o['least']:.0f} to {o['most']:.0f}) | {floor} "
        f"| {ours.format(**o)} | {same} |"
    )


def _plain(reason: str) -> str:
    """One short line without the paths that libraries put into theirs: a record holds none."""
    words = [word for word in reason.split() if not word.lstrip("'\"([").startswith(("/", "~"))]
    return " ".join(words)[:200] or "no further word"
