"""What does attention fetch for one more token? A model as it is, as MHA and as MQA, under two kernels.

One kernel gives every query head a program of its own, the other packs the heads that share keys into one tile. The cache
is as large under both. What is fetched is not, and a decode step takes as long as its bytes take.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minillm.errors import unknown_name
from minillm.lab import figures
from minillm.lab.widgets.base import Choice, Explorer, State, Steps, Still, show
from minillm.lab.widgets.comparison import seconds_text
from minillm.measure import cost
from minillm.measure.hardware import KNOWN_HARDWARE, Hardware
from minillm.measure.splits import decode_rows

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minillm.lab.widgets.shell import Panel
    from minillm.model import ModelConfig

DTYPE, DTYPE_BYTES = "bfloat16", 2
BATCHES = (1, 4, 16, 32, 64, 256)
LENGTHS = tuple(2**power for power in range(8, 18))
GPUS = tuple(name for name, machine in KNOWN_HARDWARE.items() if machine.memory_bytes and DTYPE in machine.matmul_flops_per_s)  # fmt: skip
TILE = 64  # keys a tile; it changes no byte here, since nothing is fetched twice


@dataclass(frozen=True)
class Sharing:
    """One way of sharing heads: its name, G, the bytes the cache holds, and what each kernel fetches from it in a step."""

    name: str
    num_kv_heads: int
    cache_bytes: int
    per_head: int
    packed: int
    useful_rows: int
    rows: int


@dataclass(frozen=True)
class DecodeBytes:
    """A model, a GPU, a batch and a length, with its sharings from most key/value heads to one."""

    model: str
    config: ModelConfig
    machine: Hardware
    batch: int
    length: int
    sharings: tuple[Sharing, ...]

    def milliseconds(self, fetched: int) -> float:
        """The least time by the datasheet's bandwidth."""
        return 1e3 * fetched / self.machine.bandwidth_bytes_per_s


def decode_bytes(model: str = "Llama-3.1-8B", gpu: str = "H100-SXM") -> Panel | Still:
    """Names in KNOWN_CONFIGS and GPUS to start from -> a widget: bytes that attention fetches in one step, by two kernels.

    Arithmetic from formulas and datasheets. Raises InvalidValue, naming the nearest, for an unknown model or GPU.
    """
    return show(explore_decode_bytes(model, gpu))


def explore_decode_bytes(model: str = "Llama-3.1-8B", gpu: str = "H100-SXM") -> Explorer[DecodeBytes]:
    """The same without the controls: `.data(batch=32)`, `.text(length=8192)`, `.still(model="Qwen3-0.6B")`."""
    from minillm.model import KNOWN_CONFIGS

    for kind, name, known in (("model", model, tuple(KNOWN_CONFIGS)), ("GPU", gpu, GPUS)):
        if name not in known:
            raise unknown_name(kind, name, known)
    controls = (
        Choice("model", "Model", "", tuple(KNOWN_CONFIGS), model),
        Choice("gpu", "GPU", "by its datasheet", GPUS, gpu),
        Steps("batch", "Batch", "texts", BATCHES, 32),
        Steps("length", "Length", "kept tokens a text", LENGTHS, 8192, tuple(map(figures.format_number, LENGTHS))),
    )

    def compute(state: State) -> DecodeBytes:
        config, machine = KNOWN_CONFIGS[state["model"]], KNOWN_HARDWARE[state["gpu"]]
        batch, length = state["batch"], state["length"]
        heads = dict.fromkeys((config.num_heads, config.num_kv_heads, 1))
        sharings = tuple(share(config, G, batch, length) for G in heads)
        return DecodeBytes(state["model"], config, machine, batch, length, sharings)

    return Explorer("What one step fetches", controls, compute, draw_decode_bytes, describe_decode_bytes)


def share(config: ModelConfig, num_kv_heads: int, batch: int, length: int) -> Sharing:
    """One sharing's bytes over all layers: queries and results left out, keys and values as the kernels' formulas count them."""
    H, G, D = config.num_heads, num_kv_heads, config.head_dim
    seen = [min(length, config.window_of(layer) or length) for layer in range(config.num_layers)]
    held = sum(cost.kv_cache_bytes(batch, keys, 1, G, D, dtype_bytes=DTYPE_BYTES) for keys in seen)
    groups, (rows, row_tiles) = H // G, decode_rows(H, G)
    name = "MHA" if G == H else "MQA" if G == 1 else f"GQA, G = {G}"
    return Sharing(name, G, held, held * groups, held * row_tiles, groups, rows * row_tiles)


def draw_decode_bytes(data: DecodeBytes) -> Figure:
    """Two bars a sharing, one a kernel."""
    fig = figures.figure(f"{data.model}: keys and values fetched for one more token", height=1.9 + 0.85 * len(data.sharings))  # fmt: skip
    axes, unit = fig.axes[0], 2**30
    kernels = (("a program a query head", "per_head", figures.ORANGE, "///"), ("the group packed in a tile", "packed", figures.BLUE, ""))  # fmt: skip
    for k, (label, name, colour, hatch) in enumerate(kernels):
        sizes = [getattr(sharing, name) for sharing in data.sharings]
        rows = [row + 0.38 * (k - 0.5) for row in range(len(sizes))]
        drawn = axes.barh(rows, [size / unit for size in sizes], 0.36, color=colour, hatch=hatch, edgecolor="white", label=label)  # fmt: skip
        texts = [f"{figures.format_bytes(size)}, {seconds_text(data.milliseconds(size) / 1e3)}" for size in sizes]
        axes.bar_label(drawn, labels=texts, padding=4, fontsize=10, color=figures.INK)
    axes.set_yticks(range(len(data.sharings)), [sharing.name for sharing in data.sharings])
    axes.invert_yaxis()
    axes.grid(False, axis="y")
    axes.set_xlim(0, 1.32 * max(sharing.per_head for sharing in data.sharings) / unit)
    figures.label_axes(axes, x="fetched (GiB)")
    axes.legend(loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=2, frameon=False, fontsize=10.5)
    batch = f"{data.batch} text{'s' * (data.batch > 1)} of {figures.format_number(data.length)} tokens, {DTYPE}"
    figures.caption(fig, f"{batch}; times by the {data.machine.name}'s datasheet. {figures.COMPUTED}")
    return fig


def describe_decode_bytes(data: DecodeBytes) -> str:
    """The table in numbers, and how many rows of the packed tile are padding."""
    number, c = figures.format_number, data.config
    head = (
        f"{data.model}, {c.num_layers} layers, H = {c.num_heads}, {data.batch} x {number(data.length)} tokens, {DTYPE}"
    )
    names = ("bytes", "cache holds", "a program a head", "at least", "packed", "at least", "rows in use")
    rows = []
    for s in data.sharings:
        cells = [number(s.cache_bytes)]
        for size in (s.per_head, s.packed):
            cells += [number(size), seconds_text(data.milliseconds(size) / 1e3)]
        rows.append([s.name, *cells, f"{s.useful_rows} of {s.rows}"])
    return "\n".join([head, *figures.text_table(names, rows)])
