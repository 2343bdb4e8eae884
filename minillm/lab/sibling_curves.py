"""Sibling models side by side: what sharing keys and values cost in quality, next to what it saved in bytes.

Siblings are trained on the same text for the same number of steps; only the number of key/value heads
differs, and the seed. A gap between two kinds means something when it is wider than the spread from seed to seed.
"""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minillm.lab import figures
from minillm.lab.figures import Picture
from minillm.measure.cost import kv_cache_bytes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NONE_YET = "No siblings are bundled with this copy: nothing to show."


@dataclass(frozen=True)
class SiblingKind:
    """All seeds of one kind: `bits` holds their held-out bits per byte, `curves` their (tokens, bits per byte) points.

    `kv_bytes_per_token` is over all layers, at two bytes a number.
    """

    kind: str
    num_heads: int
    num_kv_heads: int
    parameters: int
    kv_bytes_per_token: int
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
    layers, heads, width = (first[name] for name in ("num_layers", "num_kv_heads", "head_dim"))
    return SiblingKind(
        kind=first["kind"],
        num_heads=first["num_heads"],
        num_kv_heads=heads,
        parameters=first["parameters"],
        kv_bytes_per_token=kv_cache_bytes(1, 1, layers, heads, width),
        bits=tuple(result["held_out_bits_per_byte"] for result in results),
        curves=tuple(tuple((p["tokens"], p["bits_per_byte"]) for p in result["curve"]) for result in results),
    )


def sibling_table(kinds: Sequence[SiblingKind]) -> str:
    """A row a kind: heads, seeds, parameters, KV bytes a token, mean bits per byte, and the spread over seeds."""
    names = ["kind", "H", "G", "seeds", "parameters", "KV bytes a token", "bits per byte", "best to worst seed"]
    rows = [
        [
            *(kind.kind, str(kind.num_heads), str(kind.num_kv_heads), str(len(kind.bits))),
            *(figures.format_number(kind.parameters), str(kind.kv_bytes_per_token)),
            *(f"{kind.mean:.4f}", f"{kind.spread:.4f}"),
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
    """Left, held-out bits per byte as training goes, mean of the seeds; right, every seed's end against its cache's bytes."""
    fig = figures.figure("Siblings that differ in key/value heads", height=4.0, columns=2, width_ratios=(1.4, 1))
    course, end = fig.axes
    lines = [_draw_kind(course, end, kind, index) for index, kind in enumerate(kinds)]
    figures.label_axes(course, "training tokens (millions)", "held-out bits per byte")
    figures.label_axes(end, "KV cache (bytes a token)", "final bits per byte")
    if kinds:
        course.legend(frameon=False, fontsize=10.5)
        end.set_xscale("log", base=2)
        end.set_xticks([kind.kv_bytes_per_token for kind in kinds])
        end.xaxis.set_major_formatter(lambda value, _: figures.format_number(value))
        end.margins(0.2)
    source = source if kinds else NONE_YET
    figures.caption(fig, source)
    return figures.picture(fig, "\n".join(["Siblings [held-out bits per byte]", *lines, source]))


def _draw_kind(course: Axes, end: Axes, kind: SiblingKind, index: int) -> str:
    """Draw one kind on both axes and return it in words."""
    colour, marker = figures.PALETTE[index % len(figures.PALETTE)], figures.MARKERS[index % len(figures.MARKERS)]
    points = list(zip(*kind.curves, strict=True))  # for each point of the curve, (tokens, bits) of every seed
    middle = [statistics.fmean(bits for _, bits in seeds) for seeds in points]
    label = f"{kind.kind}, G = {kind.num_kv_heads}"
    millions = [seeds[0][0] / 1e6 for seeds in points]
    course.plot(millions, middle, color=colour, marker=marker, markersize=5, linewidth=1.8, label=label)
    end.plot([kind.kv_bytes_per_token] * len(kind.bits), kind.bits, marker, color=colour, markersize=7, alpha=0.7)
    ends = ", ".join(f"{bits:.4f}" for bits in kind.bits)
    return f"  {label}: from {middle[0]:.3f} to {middle[-1]:.3f}; {kind.kv_bytes_per_token} bytes a token; at the end {ends}"
