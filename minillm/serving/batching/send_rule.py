"""When does a batch leave? The rule of Triton's dynamic batcher, which holds TensorFlow Serving's within it.

It is asked when somebody is free to compute, and told who stands at the front of the line. It answers with how many of them
go, and 0 means that waiting for company is still worth it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from minillm.errors import InvalidType, rule_numbers_remedy
from minillm.serving.batching.ticket import Ticket


def require_shape(shape: object) -> None:
    """Raise InvalidType for a shape that can't be told from another: a list, an array or a tensor."""
    try:
        hash(shape), bool(shape != shape)  # a tensor has a hash, and more than one answer
    except Exception:
        rule = "shape must be hashable, and equal or not to another"
        raise InvalidType(rule_numbers_remedy(rule, type(shape).__name__, "pass a tuple of numbers")) from None


def front_of(line: Iterable[Ticket], max_batch_size: int) -> tuple[list[Ticket], bool]:
    """The tickets at the front that could share one batch, and whether somebody behind them could not.

    They are taken in order, without skipping, until a shape differs or a batch would be more than full.
    """
    front: list[Ticket] = []
    rows = 0
    for ticket in line:
        if front and (rows + ticket.size > max_batch_size or ticket.shape != front[0].shape):
            return front, True
        front.append(ticket)
        rows += ticket.size
    return front, False


def how_many_to_send(
    sizes: Sequence[int], preferred: Sequence[int], *, blocked: bool, may_wait: bool, overdue: bool
) -> int:
    """Sizes of the requests at the front, preferred batch sizes ascending -> how many requests leave now.

    blocked    somebody behind them cannot join, so this batch will not grow
    may_wait   there is a delay at all: False sends whatever is there
    overdue    the oldest of them has waited for the whole delay

    0 means that all stay. After Triton's GetDynamicBatch: the longest beginning whose rows make a preferred
    size, or that the next request would carry past every preferred size; but all, if the oldest is overdue.
    """
    rows = best = 0
    for count, size in enumerate(sizes):
        if count and not best and rows + size > preferred[-1]:
            best = count
        rows += size
        if rows in preferred:
            best = count + 1
    if best and not overdue:
        return best
    return len(sizes) if blocked or overdue or not may_wait or rows >= preferred[-1] else 0
