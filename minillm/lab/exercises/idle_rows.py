"""The exercise 13.idle: how many rows of a static batch compute nothing that anybody asked for."""

from __future__ import annotations

from minillm.lab.checks.cases import Numbers, Property
from minillm.lab.checks.exercise import Exercise

ROWS = "row-steps"


def _order_matters(call) -> bool:
    """Texts are batched as they come; putting equals together wastes less, and is another system."""
    return call([1, 9, 1, 9], 2) == 16 and call([1, 1, 9, 9], 2) == 0


def _nobody_waits_alone(call) -> bool:
    """A batch of one has no neighbours, whatever the lengths."""
    return all(call(lengths, 1) == 0 for lengths in ([3], [5, 2, 9], [1] * 7))


IDLE = Exercise(
    id="13.idle",
    title="Rows that write for nobody",
    statement=(
        "Texts are taken in the order given, batch_size at a time; the last batch may have fewer rows. A batch runs until its longest "
        "text is written, a token a row and step. Return how many row-steps were run for texts that had been written already."
    ),
    signature="idle(lengths, batch_size)",
    layers={
        "values": (
            Numbers("two texts", ([3, 8], 2), want=5, unit=ROWS),
            Numbers("three texts", ([1, 4, 9], 3), want=13, unit=ROWS),
            Numbers("equal texts", ([6, 6, 6, 6], 4), want=0, unit=ROWS),
            Numbers("two batches", ([3, 8, 2, 2], 2), want=5, unit=ROWS),
            Numbers("a last batch that is not full", ([4, 1, 7], 2), want=3, unit=ROWS),
            Numbers("fewer texts than rows", ([2, 5], 8), want=3, unit=ROWS),
            Numbers("nobody came", ([], 4), want=0, unit=ROWS),
        ),
        "properties": (
            Property("order matters", _order_matters, "Batches are made as texts come; nobody is sorted."),
            Property("a batch of one", _nobody_waits_alone, "Who runs alone waits for nobody."),
        ),
    },
    hints=(
        "A batch of texts with lengths 3 and 8 runs 8 steps with 2 rows.",
        "Per batch: rows times the longest length, less the sum of the lengths. Empty places of the last batch are no rows.",
        "for each slice lengths[i : i + batch_size]:  total += max(slice) * len(slice) - sum(slice)",
    ),
    solution="notebooks/solutions/lesson_13.py: idle",
)  # fmt: skip
