"""Sibling models side by side: what sharing keys and values cost in quality, next to what it saved in bytes.

Siblings are trained on the same text, in the same order, for the same number of steps; only the number of key/value heads
differs, and the seed. A gap between two kinds means something when it is wider than the spread from seed to seed.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from minillm.lab import figures
from minillm.lab.figures import Picture

NONE_YET = "No siblings are bundled with this copy: nothing to show."


@dataclass(frozen=True)
class SiblingKind:
    """All seeds of one kind: `bits` holds their held-out bits per byte, `curves` their (tokens, bits per byte) points."""

    kind: str
    num_kv_heads: int
    parameters: int
    bits: tuple[float, ...]
    curves: tuple[tuple[tuple[int, float], ...], ...]

    @property
    def mean(self) -> float:
        return statistics.fmean(self.bits)

    @property
    def spread(self) -> float:
        """From the best seed to the worst, in bits per byte."""
        return max(self.bits) - min(self.bits)


def group_siblings(results: Sequence[Mapping[str, Any]]) -> list[SiblingKind]:
    """Results as `minillm.model.sibling_results` returns them -> one SiblingKind a head count, most key/value heads first."""
    counts = sorted({result["num_kv_heads"] for result in results}, reverse=True)
    return [_one_kind([result for result in results if result["num_kv_heads"] == count]) for count in counts]


def _one_kind(results: Sequence[Mapping[str, Any]]) -> SiblingKind:
    first = results[0]
    return SiblingKind(
        kind=first["kind"],
        num_kv_heads=first["num_kv_heads"],
        parameters=first["parameters"],
        bits=tuple(result["held_out_bits_per_byte"] for result in results),
        curves=tuple(tuple((p["tokens"], p["bits_per_byte"]) for p in result["curve"]) for result in results),
    )


def sibling_table(kinds: Sequence[SiblingKind], *, num_layers: int, head_dim: int, dtype_bytes: int = 2) -> str:
    """N, D and bytes a number -> a row a kind: seeds, parameters, KV bytes a token, bits per byte and their spread."""
    from minillm.measure.cost import kv_cache_bytes

    names = ["kind", "G", "seeds", "parameters", "KV bytes/token", "bits/byte", "best to worst seed"]
    rows = [
        [
            kind.kind,
            str(kind.num_kv_heads),
            str(len(kind.bits)),
            figures.format_number(kind.parameters),
            str(kv_cache_bytes(1, 1, num_layers, kind.num_kv_heads, head_dim, dtype_bytes=dtype_bytes)),
            f"{kind.mean:.4f}",
            f"{kind.spread:.4f}",
        ]
        for kind in kinds
    ]
    return "\n".join(figures.text_table(names, rows)) if rows else NONE_YET


def sibling_verdict(kinds: Sequence[SiblingKind]) -> str:
    """Each kind against the one with the most key/value heads: the gap, and whether the seeds' ranges overlap."""
    if not kinds:
        return NONE_YET
    whole, *shared = kinds
    lines = [f"lowest bits per byte: {min(kinds, key=lambda kind: kind.mean).kind}"]
    for kind in shared:
        gap = kind.mean - whole.mean
        apart = min(kind.bits) > max(whole.bits) or max(kind.bits) < min(whole.bits)
        verdict = "no seed of one lies among the other's" if apart else "their seeds overlap: no difference shown"
        lines.append(f"{kind.kind} against {whole.kind}: {gap:+.4f} bits/byte ({gap / whole.mean:+.2%}); {verdict}")
    return "\n".join(lines)


def draw_siblings(kinds: Sequence[SiblingKind], source: str = "Recorded when the siblings were trained.") -> Picture:
    """Held-out bits per byte against training tokens: the mean of the seeds as a line, best to worst as a band."""
    fig = figures.figure("Siblings that differ in key/value heads", height=4.0)
    axes, lines = fig.axes[0], []
    for index, kind in enumerate(kinds):
        points = list(zip(*kind.curves, strict=True))  # one tuple of all seeds' (tokens, bits) a point
        tokens = [seeds[0][0] / 1e6 for seeds in points]
        bits = [[value for _, value in seeds] for seeds in points]
        middle, colour = [statistics.fmean(seeds) for seeds in bits], figures.PALETTE[index % len(figures.PALETTE)]
        label = f"{kind.kind}, G = {kind.num_kv_heads}"
        axes.fill_between(tokens, [min(b) for b in bits], [max(b) for b in bits], color=colour, alpha=0.2, linewidth=0)
        axes.plot(tokens, middle, color=colour, marker=figures.MARKERS[index], markersize=6, linewidth=2, label=label)
        lines += [f"  {label}: from {middle[0]:.3f} to {middle[-1]:.3f}"]
    figures.label_axes(axes, "training tokens (millions)", "held-out bits per byte, lower is better")
    if kinds:
        axes.legend(frameon=False, fontsize=10.5)
    figures.caption(fig, source if kinds else NONE_YET)
    return figures.picture(fig, "\n".join(["Siblings [held-out bits per byte]", *(lines or [NONE_YET]), source]))
