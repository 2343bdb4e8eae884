"""Exercises of lesson 08: the bytes of a decode step, packed decoding in torch and Triton, and a step to mend."""

from minillm.lab.checks.cases import Numbers
from minillm.lab.checks.exercise import Exercise
from minillm.lab.exercises.packed_decode import DECODE, ROWS
from minillm.lab.exercises.ragged_decode import CLINIC


def _case(name: str, sizes: tuple[int, ...], packed: bool, want: int, meaning: str, **more: int) -> Numbers:
    return Numbers(name, (*sizes, packed), want=want, unit="bytes", meaning=meaning, kwargs=more)


BYTES = Exercise(
    id="08.bytes",
    title="What one step fetches",
    statement=(
        "Return the bytes of keys and values that one layer's attention fetches for one new token of each of B texts with S "
        "kept keys. With `packed`, a program serves all heads that share a key/value head; without, each query head has a "
        "program of its own."
    ),
    signature="fetched(B, S, H, G, D, packed, element_bytes=2)",
    layers={
        "values": (
            _case("a head each", (1, 1000, 32, 32, 128), False, 2 * 1000 * 32 * 128 * 2, "Every head fetches S keys and S values of D numbers."),
            _case("a head each, packed", (1, 1000, 32, 32, 128), True, 2 * 1000 * 32 * 128 * 2, "With G = H there is nothing to pack."),
            _case("eight for 32", (1, 1000, 32, 8, 128), False, 2 * 1000 * 32 * 128 * 2, "A program a query head fetches for itself, whoever else has fetched the same."),
            _case("eight for 32, packed", (1, 1000, 32, 8, 128), True, 2 * 1000 * 8 * 128 * 2, "A key/value head is fetched once."),
            _case("a batch in float32", (5, 77, 6, 2, 64), True, 2 * 5 * 77 * 2 * 64 * 4, "Every text has keys of its own, and a number has element_bytes bytes.", element_bytes=4),
            _case("a batch, not packed", (5, 77, 6, 2, 64), False, 2 * 5 * 77 * 6 * 64 * 2, "Every text has keys of its own."),
        ),
    },
    hints=(
        "How many programs walk over the keys, and what does each of them fetch?",
        "A walk fetches S keys and S values of D numbers. Unpacked there are B · H walks.",
        "2 * B * S * (walks a text) * D * element_bytes, with G walks a text if packed, else H",
    ),
    solution="minillm/measure/decode_cost.py",
)  # fmt: skip

EXERCISES = (BYTES, DECODE, ROWS, CLINIC)
