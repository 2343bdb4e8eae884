"""How busy is a GPU with one more token? Programs on its multiprocessors, wave after wave, by the number of runs.

A text and one of its key/value heads is a program that walks over all kept keys. There are few of them, so the walk is cut
into runs. The picture is arithmetic: every tile of keys takes one step, and a multiprocessor takes one program at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minillm.errors import unknown_name
from minillm.kernels.decode_tiles import PROCESSORS
from minillm.lab import figures
from minillm.lab.widgets.base import Choice, Explorer, Slider, State, Steps, Still, show
from minillm.measure import cost
from minillm.measure.splits import efficiency, num_splits, waves

if TYPE_CHECKING:
    import numpy as np
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from minillm.lab.widgets.shell import Panel

TARGETS = {"A100-80GB-SXM": "sm_80", "H100-SXM": "sm_90", "B200": "sm_100", "RTX 5090": "sm_120", "MI300X": "gfx942"}
LENGTHS = tuple(2**power for power in range(7, 18))
BATCHES = (1, 2, 4, 8, 16, 32, 64)
TILE, HEAD_DIM, GROUP = 64, 128, 4  # keys a tile; D and H / G of Llama-3.1-8B, for the bytes
MOST = 64


@dataclass(frozen=True)
class SplitStep:
    """One step of decoding on paper: who has to do what, and what the chosen number of runs makes of it."""

    gpu: str
    batch: int
    num_kv_heads: int
    length: int
    splits: int

    @property
    def processors(self) -> int:
        """Multiprocessors of the GPU."""
        return PROCESSORS[TARGETS[self.gpu]]

    @property
    def programs(self) -> int:
        """Walks before any is cut: a text and a key/value head."""
        return self.batch * self.num_kv_heads

    @property
    def key_tiles(self) -> int:
        """Tiles of one walk."""
        return -(-self.length // TILE)

    @property
    def runs(self) -> tuple[int, ...]:
        """Tiles of each run of one walk; runs without any have 0."""
        each = -(-self.key_tiles // self.splits)
        return tuple(max(0, min(each, self.key_tiles - i * each)) for i in range(self.splits))

    @property
    def rounds(self) -> int:
        """Waves until every program had its turn."""
        return waves(self.programs * self.splits, self.processors)

    @property
    def steps(self) -> int:
        """Steps that pass: waves, each as long as its longest run."""
        return self.rounds * self.runs[0]

    @property
    def rule(self) -> int:
        """What the package's rule would take."""
        return num_splits(self.programs, self.processors, self.key_tiles)

    @property
    def cache_bytes(self) -> int:
        """Keys and values of one layer, in 16 bits."""
        return cost.kv_cache_bytes(self.batch, self.length, 1, self.num_kv_heads, HEAD_DIM)

    @property
    def scratch_bytes(self) -> int:
        """What the runs' results take: written once and read once by the merge."""
        rows = self.programs * GROUP
        return 0 if self.splits == 1 else self.splits * rows * (HEAD_DIM + 1) * 4

    def busy(self, splits: int) -> float:
        """The share of all multiprocessors' time that is work."""
        return efficiency(self.programs, self.processors, self.key_tiles, splits)


def split_explorer(gpu: str = "H100-SXM") -> Panel | Still:
    """A name in TARGETS to start from -> a widget: multiprocessors at work, idle, and the busy share by number of runs.

    Raises InvalidValue, naming the nearest, for an unknown GPU.
    """
    return show(explore_splits(gpu))


def explore_splits(gpu: str = "H100-SXM") -> Explorer[SplitStep]:
    """The same without the controls: `.data(splits=8)`, `.text(batch=32)`, `.still(length=131072)`."""
    if gpu not in TARGETS:
        raise unknown_name("GPU", gpu, TARGETS)
    processors = tuple(f"{name}, {PROCESSORS[target]}" for name, target in TARGETS.items())
    controls = (
        Choice("gpu", "GPU", "multiprocessors", tuple(TARGETS), gpu, processors),
        Steps("batch", "Batch", "texts", BATCHES, 1),
        Steps("num_kv_heads", "Key/value heads", "a text", (1, 2, 4, 8, 16, 32), 8),
        Steps("length", "Length", "kept tokens a text", LENGTHS, 32768, tuple(map(figures.format_number, LENGTHS))),
        Slider("splits", "Runs", "a walk", 1, MOST, 1, 1),
    )

    def compute(state: State) -> SplitStep:
        return SplitStep(**{**state, "splits": int(state["splits"])})

    return Explorer("Split-KV explorer", controls, compute, draw_splits, describe_splits)


def draw_splits(data: SplitStep) -> Figure:
    """Above: every multiprocessor's time, work and idling. Below: the busy share for each number of runs."""
    share = data.busy(data.splits)
    title = f"{share:.0%} of the {data.gpu}'s time is work, with {data.splits} run{'s' * (data.splits > 1)} a walk"
    fig = figures.figure(title, height=5.6, rows=2, columns=1, height_ratios=(1.1, 1))
    _draw_timeline(fig.axes[0], data)
    _draw_shares(fig.axes[1], data)
    texts = f"{data.programs} walks of {data.key_tiles} tiles of {TILE} keys, {data.processors} multiprocessors"
    figures.caption(fig, f"{texts}. {figures.COMPUTED}")
    return fig


def timeline(data: SplitStep, rows: int = 120) -> np.ndarray:
    """Time by multiprocessor: which walk each is at, -1 where it is idle. A wave is `rows` / waves rows, at least one."""
    import numpy as np

    programs = np.arange(data.rounds * data.processors)
    walk = np.where(programs < data.programs * data.splits, programs // data.splits, -1)
    tiles = np.array(data.runs)[programs % data.splits]
    fine = max(1, rows // data.rounds)
    at_work = np.arange(fine)[:, None] < np.ceil(fine * tiles / data.runs[0])  # (fine, programs)
    waves = np.where(at_work & (walk >= 0), walk, -1).reshape(fine, data.rounds, data.processors)
    return waves.swapaxes(0, 1).reshape(-1, data.processors)


def _draw_timeline(axes: Axes, data: SplitStep) -> None:
    from matplotlib.colors import ListedColormap

    shown = timeline(data)
    idle = int((shown < 0).all(axis=0).sum())
    colours = ListedColormap(["#EEEEEE", *figures.PALETTE[:6]])
    extent = (0, data.processors, data.steps, 0)
    cells = (shown >= 0) * (1 + shown % 6)
    axes.imshow(cells, cmap=colours, vmin=0, vmax=6, aspect="auto", interpolation="nearest", extent=extent)
    axes.grid(False)
    figures.label_axes(axes, x="multiprocessor", y="time (tiles of keys)")
    axes.text(
        0.99, 0.07, f"idle throughout: {idle} of {data.processors}", transform=axes.transAxes, ha="right", fontsize=10.5,
        color=figures.INK, bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.85},
    )  # fmt: skip


def _draw_shares(axes: Axes, data: SplitStep) -> None:
    numbers = list(range(1, MOST + 1))
    axes.plot(numbers, [100 * data.busy(n) for n in numbers], color=figures.BLUE, marker=".", linewidth=1.5)
    for n, colour, marker, label in (
        (data.rule, figures.GREEN, "s", "the rule"),
        (data.splits, figures.VERMILLION, "o", "chosen"),
    ):
        if n <= MOST:
            axes.plot(
                [n],
                [100 * data.busy(n)],
                color=colour,
                marker=marker,
                markersize=9,
                linestyle="",
                label=f"{label}: {n}",
            )
    axes.set(ylim=(0, 105), xlim=(0, MOST + 1))
    figures.label_axes(axes, x="runs a walk", y="busy (%)")
    axes.legend(frameon=False, fontsize=10.5, loc="lower right")


def describe_splits(data: SplitStep) -> str:
    """Programs, waves, the busy share, the rule's choice, and the extra bytes, in numbers."""
    number, empty = figures.format_number, data.runs.count(0)
    runs = f"{data.splits} run{'s' * (data.splits > 1)} a walk"
    programs = f"{data.programs * data.splits} programs in {data.rounds} wave{'s' * (data.rounds > 1)}"
    none = f"; {empty} of {data.splits} runs have no keys" if empty else ""
    return "\n".join(
        [
            f"{data.gpu}: {data.processors} multiprocessors; {data.batch} x {data.num_kv_heads} walks of {data.key_tiles} tiles of {TILE} keys",
            f"{runs}: {programs}, {data.steps} steps, {data.busy(data.splits):.1%} busy{none}",
            f"not cut: {data.busy(1):.1%} busy; the rule takes {data.rule}: {data.busy(data.rule):.1%} busy",
            f"keys and values {number(data.cache_bytes)} bytes; partial results {number(data.scratch_bytes)} bytes, written and read once",
        ]
    )
