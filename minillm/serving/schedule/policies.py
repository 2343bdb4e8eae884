"""Who is served in a step, and in which order: four policies, each a few lines on the same loop.

`serve` gives running texts their share of the step, `admit` lets waiting ones in while there is room. All that can go wrong,
blocks that lack or a step that is full, is the step's business and not a policy's. No torch here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from minillm.serving.schedule.step import ScheduleStep


def budget(step: ScheduleStep) -> None:
    """All running texts in order, then waiting ones while tokens are left. After vLLM's scheduler, version 1."""
    step.serve(step.running)
    step.admit()


def splitfuse(step: ScheduleStep) -> None:
    """Decodes first; then prompts, cut so that they fill the step exactly, and let in only if blocks for all of it are free.

    After DeepSpeed-FastGen's Dynamic SplitFuse.
    """
    step.serve(request for request in step.running if not request.is_prefilling)
    step.serve(request for request in step.running if request.is_prefilling)
    step.admit(whole=True)


def prefill_first(step: ScheduleStep) -> None:
    """All prompts or all decodes, and prompts go first: as long as others arrive, nobody who runs gets a token.

    After nano-vllm, and the first schedulers of vLLM and SGLang.
    """
    step.serve(request for request in step.running if request.is_prefilling)
    step.admit()
    if not step.shares:
        step.serve(step.running)


def static(step: ScheduleStep) -> None:
    """A batch is let in when the one before has ended altogether; who finishes early stays, as padding."""
    if step.running:
        step.serve(step.running)
    else:
        step.admit()
        step.begin_batch()
    step.pad()


POLICIES: dict[str, Callable[[ScheduleStep], None]] = {
    "budget": budget,
    "splitfuse": splitfuse,
    "prefill_first": prefill_first,
    "static": static,
}
