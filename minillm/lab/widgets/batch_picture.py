"""The batching explorer's picture: every request's wait and pass on a line of its own, the batches below, and what it cost.

A request waits in grey and is computed in its batch's colour; neighbours in a batch begin and end together, and each batch has
its number of requests written on it, so the picture can be read without colours.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from minillm.lab import figures
from minillm.lab.widgets.panes import span

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from minillm.lab.batching_day import BatchingDay
    from minillm.lab.widgets.batch_waiting import Waiting

SHOWN = 40  # requests in the timeline
WAIT = "#C9C9C9"


def draw_waiting(data: Waiting) -> Figure:
    """Requests and batches in time above; how many were answered how soon, and how large the batches were, below."""
    day = data.day
    title = (
        f"{data.rate} requests a second, delay {data.delay} ms: half are answered within {day.percentile(50):.1f} ms"
    )
    fig = figures.figure(
        title, width=9.6, height=6.6, rows=3, columns=2, height_ratios=(2.1, 0.34 + 0.2 * data.instances, 1.3)
    )
    # From below: a pane takes the place of axes, and `span` counts those that are left.
    lanes = span(fig, slice(1, 2), slice(0, 2))
    timeline = span(fig, slice(0, 1), slice(0, 2))
    left, right = fig.axes[:2]
    end = _draw_requests(timeline, day)
    _draw_lanes(lanes, day, end)
    _draw_latencies(left, data)
    _draw_sizes(right, data)
    figures.caption(fig, f"Grey: waiting. Coloured: its batch is being computed. Hatched: padding. {figures.COMPUTED}")
    return fig


def _colour(batch: int) -> str:
    return figures.PALETTE[batch % len(figures.PALETTE)]


def _draw_requests(axes: Axes, day: BatchingDay) -> float:
    """The first requests, one line each -> the time at which the last of them is answered, in ms."""
    end = 0.0
    for one in day.requests[:SHOWN]:
        if one.started is None or one.answered is None or one.batch is None:
            continue
        axes.barh(one.number, (one.started - one.arrived) / 1000, left=one.arrived / 1000, height=0.72, color=WAIT)
        axes.barh(
            one.number,
            (one.answered - one.started) / 1000,
            left=one.started / 1000,
            height=0.72,
            color=_colour(one.batch),
        )
        end = max(end, one.answered / 1000)
    axes.set(xlim=(0, end), ylim=(SHOWN - 0.3, -0.7))
    axes.tick_params(labelbottom=False)
    figures.label_axes(axes, "", "request")
    return end


def _draw_lanes(axes: Axes, day: BatchingDay, end: float) -> None:
    """A lane an instance; on each batch the number of its requests, and its padding hatched at the end."""
    for sent in day.batches:
        start, length = sent.started / 1000, (sent.ended - sent.started) / 1000
        if start > end:
            break
        colour, useful = _colour(sent.number), length * len(sent.requests) / sent.rows
        axes.barh(sent.instance, useful, left=start, height=0.8, color=colour)
        axes.barh(
            sent.instance,
            length - useful,
            left=start + useful,
            height=0.8,
            color="white",
            edgecolor=colour,
            hatch="////",
            linewidth=0,
        )
        if length > end / 60 and start + length / 2 < end:
            label = axes.text(
                start + useful / 2, sent.instance + 0.03, str(len(sent.requests)), ha="center", va="center"
            )
            label.set(fontsize=9.5, color=figures.ink_on(colour))
    axes.set(xlim=(0, end), ylim=(day.instances - 0.45, -0.55))
    axes.set_yticks(range(day.instances), labels=[f"instance {n + 1}" for n in range(day.instances)])
    axes.grid(False, axis="y")
    figures.label_axes(axes, "time (ms)", "")


def _draw_latencies(axes: Axes, data: Waiting) -> None:
    looks = [(data.no_delay, "waits 0 ms", figures.ORANGE, "--")] if data.delay else []
    looks.append((data.day, f"waits {data.delay} ms", figures.BLUE, "-"))
    for day, name, colour, style in looks:
        ms = [latency / 1000 for latency in day.latencies]
        share = [100 * (rank + 1) / len(ms) for rank in range(len(ms))]
        axes.step([0, *ms], [0, *share], where="post", color=colour, linestyle=style, linewidth=2, label=name)
    slowest = max(day.percentile(99) for day, *_ in looks)
    axes.set(xlim=(0, 1.08 * slowest), ylim=(0, 104))
    axes.legend(frameon=False, fontsize=10, loc="lower right")
    figures.label_axes(axes, "answered within (ms)", "requests (%)")


def _draw_sizes(axes: Axes, data: Waiting) -> None:
    day, most = data.day, 16
    sizes = [sum(len(sent.requests) == size for sent in day.batches) for size in range(1, most + 1)]
    axes.bar(range(1, most + 1), sizes, width=0.8, color=figures.BLUE)
    padding = f", padding {day.padding:.0%}" if day.padding else ""
    text = f"mean {day.mean_batch:.1f}{padding}\n{len(day.batches)} passes\nbusy {day.busy:.0%} of the time"
    place, side = (0.98, "right") if day.mean_batch < 9 else (0.02, "left")
    axes.text(place, 0.96, text, transform=axes.transAxes, ha=side, va="top", fontsize=10.5, color=figures.INK)
    axes.set(xlim=(0.3, most + 0.7), ylim=(0, 1.25 * max(sizes)))
    axes.set_xticks([1, 4, 8, 12, 16])
    figures.label_axes(axes, "requests in a batch", "batches")
