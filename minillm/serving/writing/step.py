"""What was chosen in a step becomes text: pieces to show, tokens to remember, and which texts end and why."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from minillm.serving.compute.worker import Outcome
from minillm.serving.outputs import FinishReason, TextChunk
from minillm.serving.schedule.output import SchedulerOutput
from minillm.serving.scheduler import Scheduler
from minillm.serving.writing.answer import Text


class Written(NamedTuple):
    """What a step wrote: chunks in the order of the pass, tokens by text, and why texts ended."""

    chunks: list[TextChunk]
    tokens: dict[str, tuple[int, ...]]
    ended: dict[str, FinishReason]


def write(outcome: Outcome, texts: Mapping[str, Text]) -> Written:
    """Every text gains what was chosen for it; one that failed, or cannot be decoded, ends with an error."""
    failed = dict(outcome.failed)
    written = Written([], {}, {})
    for name, chosen in outcome.chosen.items():
        try:
            chunk = texts[name].write(*chosen)
        except Exception as error:  # a tokenizer's, say
            failed[name] = error
            continue
        written.chunks.append(chunk)
        written.tokens[name] = chunk.token_ids
        if chunk.finish_reason is not None:
            written.ended[name] = chunk.finish_reason
    for name, why in failed.items():
        written.chunks.append(texts[name].fail(why))
        written.ended[name] = "error"
    return written


def settle(scheduler: Scheduler, output: SchedulerOutput, written: Written, texts: Mapping[str, Text]) -> None:
    """The scheduler, whose step it was, learns what was written, and why texts ended."""
    for name, reason in written.ended.items():
        if reason == "error":
            scheduler.finish(name, "error")
    scheduler.update(output, written.tokens)
    for name, reason in written.ended.items():
        request = texts[name].request
        if not request.is_finished:  # by a stop string: the scheduler knows tokens only
            scheduler.finish(name, reason)
        request.finish_reason = reason  # which may be complete with the last token that was allowed
