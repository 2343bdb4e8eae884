"""How fast attention runs here: every available form at several shapes, beside torch's own call and the two ceilings.

Every timed shape is first held to float64 on fresh random data. On a CPU these times say little about a GPU; on a GPU run
`make gpu`.
"""

from __future__ import annotations

import argparse

import torch
import torch.nn.functional as F

import minillm as ml
from minillm.measure import Measurement, compare_calls, cost
from minillm.measure.hardware import measure_this_machine
from minillm.measure.run import record_run, write_record

SHAPES = [(1, length, length, 8, groups, 64) for length in (128, 512, 1024) for groups in (8, 2)]
SHAPES += [(8, 1, length, 8, groups, 64) for length in (512, 2048) for groups in (8, 2)]  # one decode step each
TOLERANCE = {"float32": 1e-4, "bfloat16": 3e-2}


def contestants(q, k, v) -> dict:
    """Torch's own call first, as the baseline, then each of our forms that runs here."""

    def library():
        out = F.scaled_dot_product_attention(
            *(t.transpose(1, 2) for t in (q, k, v)), is_causal=q.shape[1] > 1, enable_gqa=True
        )
        return out.transpose(1, 2)

    ours = [name for name, backend in ml.backends().items() if backend.available]
    return {"torch": library} | {n: (lambda n=n: ml.attention(q, k, v, causal=True, backend=n)) for n in ours}


def measure(shape, dtype: str, device: str, seconds: float) -> list[Measurement]:
    """One shape (B, L, S, H, G, D) -> a row for each contestant, checked before it is timed."""
    B, L, S, H, G, D = shape
    random = torch.Generator().manual_seed(L * S + G)
    q, k, v = (
        torch.randn(B, n, h, D, generator=random).to(device, getattr(torch, dtype)) for n, h in ((L, H), (S, G), (S, G))
    )
    calls = contestants(q, k, v)
    want = ml.attention(q.double(), k.double(), v.double(), causal=True, backend="naive")
    errors = {name: (call().double() - want).abs().max().item() for name, call in calls.items()}
    wrong = {n: e for n, e in errors.items() if not e <= TOLERANCE[dtype]}
    if wrong:
        raise SystemExit(f"wrong at {shape} {dtype}: {wrong}; a wrong kernel is not timed")
    timings = compare_calls(calls, min_seconds=seconds).timings
    flops = cost.attention_flops(B, L, S, H, D, causal=True).useful
    return [
        Measurement(
            operator="attention", backend=name, dtype=dtype, shape=dict(zip("BLSHGD", shape, strict=True)),
            p20=t.p20, p50=t.p50, p80=t.p80, runs=t.runs, flops=flops, options={"causal": True},
            bytes_moved=cost.ideal_attention_bytes(B, L, S, H, G, D, dtype_bytes=q.element_size()).moved,
            best_torch="torch", ratio_to_torch=timings["torch"].p50 / t.p50, max_error=errors[name],
        )
        for name, t in timings.items()
    ]  # fmt: skip


def main() -> None:
    """Measure, print a row a measurement and, unless told not to, write the record."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.3, help="time for each contestant at each shape")
    parser.add_argument("--no-record", action="store_true", help="print only")
    chosen = parser.parse_args()
    device = "cuda" if torch.cuda.is_available() else "cpu"
    ceilings = measure_this_machine(device)
    print(ceilings)
    rows: list[Measurement] = []
    for dtype in ("float32", "bfloat16"):
        for shape in SHAPES:
            measured = measure(shape, dtype, device, chosen.seconds)
            rows += measured
            for row in measured:
                print(
                    f"{dtype:9} {dict(row.shape)} {row.backend:6} {1e6 * row.p50:9.0f} µs  {row.ratio_to_torch:.2f}× torch",
                    flush=True,
                )
    if not chosen.no_record:
        print(
            f"recorded in {write_record(record_run(rows, ceilings, 'python benchmarks/operators.py'), 'operators').name}"
        )


if __name__ == "__main__":
    main()
