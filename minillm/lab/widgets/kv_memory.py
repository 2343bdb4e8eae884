"""Does it fit? The bytes of a real model's KV cache beside its weights and a GPU's memory.

Every token of every request leaves one key and one value for each layer and key/value head, and they stay until the
request is done. Weights are paid once; the cache is paid per request and per token, and it is what fills a server.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from minillm.lab import figures
from minillm.lab.widgets.base import Choice, Explorer, Slider, State, Steps, Still, show
from minillm.measure import cost
from minillm.measure.hardware import KNOWN_HARDWARE

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from minillm.lab.widgets.shell import Panel
    from minillm.model import ModelConfig

CACHE_DTYPES = {"float32": 4, "bfloat16": 2, "float16": 2, "fp8": 1, "int8": 1}
WEIGHT_DTYPES = {"float32": 4.0, "bfloat16": 2.0, "float16": 2.0, "int8": 1.0, "int4": 0.5}
GPU_BYTES = {name: hardware.memory_bytes for name, hardware in KNOWN_HARDWARE.items() if hardware.memory_bytes}
LENGTHS = tuple(2**power for power in range(7, 18))


@dataclass(frozen=True)
class KVMemory:
    """One deployment in numbers: all sizes in bytes. `cache_in_window` is what a ring buffer for a sliding window would keep."""

    model: str
    gpu: str
    cache_dtype: str
    weight_dtype: str
    batch: int
    length: int
    config: ModelConfig
    parameters: int
    weight_bytes: int
    bytes_per_token: int
    cache_bytes: int
    cache_in_window: int
    gpu_bytes: int

    @property
    def total_bytes(self) -> int:
        """Weights and cache; activations and the framework come on top."""
        return self.weight_bytes + self.cache_bytes

    @property
    def fits(self) -> bool:
        """Whether weights and cache alone are within the GPU's memory."""
        return self.total_bytes <= self.gpu_bytes

    @property
    def max_batch(self) -> int:
        """How many requests of this length fit beside the weights; 0 when the weights alone do not."""
        return max(0, (self.gpu_bytes - self.weight_bytes) // (self.length * self.bytes_per_token))


def kv_calculator(model: str = "Llama-3.1-8B", gpu: str = "H100-SXM") -> Panel | Still:
    """Names in KNOWN_CONFIGS and GPU_BYTES to start from -> a widget: KV-cache bytes by model, batch, length and dtype.

    Raises InvalidValue, naming the nearest, for a model or a GPU that is not in the tables.
    """
    return show(explore_kv_memory(model, gpu))


def explore_kv_memory(model: str = "Llama-3.1-8B", gpu: str = "H100-SXM") -> Explorer[KVMemory]:
    """The same without the controls: `.data(batch=32, length=8192)`, `.text(cache_dtype="fp8")`, `.still(...)`."""
    from minillm.errors import unknown_name
    from minillm.model import KNOWN_CONFIGS

    for kind, name, known in (("model", model, KNOWN_CONFIGS), ("GPU", gpu, GPU_BYTES)):
        if name not in known:
            raise unknown_name(kind, name, known)
    gpu_texts = tuple(f"{name}, {size // 10**9} GB" for name, size in GPU_BYTES.items())
    controls = (
        Choice("model", "Model", "", tuple(KNOWN_CONFIGS), model),
        Choice("gpu", "GPU", "memory in GB", tuple(GPU_BYTES), gpu, gpu_texts),
        Choice("weight_dtype", "Weights", "bytes a number", tuple(WEIGHT_DTYPES), "bfloat16", _sized(WEIGHT_DTYPES)),
        Choice("cache_dtype", "KV cache", "bytes a number", tuple(CACHE_DTYPES), "bfloat16", _sized(CACHE_DTYPES)),
        Slider("batch", "Batch", "requests", 1, 512, 1, 16),
        Steps("length", "Length", "tokens a request", LENGTHS, 8192, tuple(map(figures.format_number, LENGTHS))),
    )

    def compute(state: State) -> KVMemory:
        return measure_kv_memory(KNOWN_CONFIGS[state["model"]], **state)

    return Explorer("KV-cache calculator", controls, compute, draw_kv_memory, describe_kv_memory)


def _sized(dtypes: dict[str, int] | dict[str, float]) -> tuple[str, ...]:
    return tuple(f"{name}, {size:g}" for name, size in dtypes.items())


def measure_kv_memory(
    config: ModelConfig, *, model: str, gpu: str, weight_dtype: str, cache_dtype: str, batch: int, length: int
) -> KVMemory:
    """A model's numbers and a state of the controls -> every size, from the formulas in `minillm.measure.cost`."""
    c, dtype_bytes = config, CACHE_DTYPES[cache_dtype]
    flags = {"qk_norm": c.qk_norm, "qkv_bias": c.qkv_bias, "output_bias": c.output_bias, "mlp_bias": c.mlp_bias}
    sizes = (c.vocab_size, c.hidden_size, c.intermediate_size, c.num_layers, c.num_heads, c.num_kv_heads, c.head_dim)
    parameters = cost.parameter_count(*sizes, tied=c.tie_word_embeddings, **flags)

    def kept(layers: int, tokens: int) -> int:
        return cost.kv_cache_bytes(batch, tokens, layers, c.num_kv_heads, c.head_dim, dtype_bytes=dtype_bytes)

    return KVMemory(
        model=model,
        gpu=gpu,
        cache_dtype=cache_dtype,
        weight_dtype=weight_dtype,
        batch=batch,
        length=length,
        config=config,
        parameters=parameters,
        weight_bytes=cost.weight_bytes(parameters, dtype_bytes=WEIGHT_DTYPES[weight_dtype]),
        bytes_per_token=kept(c.num_layers, 1) // batch,
        cache_bytes=kept(c.num_layers, length),
        cache_in_window=sum(kept(1, min(length, c.window_of(layer) or length)) for layer in range(c.num_layers)),
        gpu_bytes=GPU_BYTES[gpu],
    )


def draw_kv_memory(data: KVMemory) -> Figure:
    """Weights and cache end to end against the GPU's memory, and the verdict in the title."""
    verdict = "Fits" if data.fits else "Does not fit"
    fig = figures.figure(f"{verdict}: {data.model} on one {data.gpu}", height=3.0)
    axes, unit = fig.axes[0], 2**30
    weights, cache, memory = data.weight_bytes / unit, data.cache_bytes / unit, data.gpu_bytes / unit
    axes.barh(
        [0], [weights], height=0.5, color=figures.BLUE, label=f"weights {figures.format_bytes(data.weight_bytes)}"
    )
    axes.barh(
        [0], [cache], left=[weights], height=0.5, color=figures.ORANGE, hatch="///", edgecolor="white",
        label=f"KV cache {figures.format_bytes(data.cache_bytes)}",
    )  # fmt: skip
    axes.axvline(
        memory, color=figures.INK, linewidth=2.5, linestyle="--", label=f"memory {figures.format_bytes(data.gpu_bytes)}"
    )
    axes.set(yticks=[], ylim=(-0.5, 0.5), xlim=(0, 1.08 * max(weights + cache, memory)))
    axes.grid(False, axis="y")
    axes.xaxis.set_major_formatter(lambda value, _: figures.format_number(value))
    figures.label_axes(axes, x="memory (GiB)")
    handles = [axes.containers[0], axes.containers[1], axes.lines[0]]
    axes.legend(handles=handles, loc="lower left", bbox_to_anchor=(-0.01, 1.0), ncols=3, frameon=False, fontsize=10.5)
    requests = f"{number_of(data.batch)} of {figures.format_number(data.length)} tokens"
    figures.caption(fig, f"{requests}; weights {data.weight_dtype}, cache {data.cache_dtype}. {figures.COMPUTED}")
    return fig


def describe_kv_memory(data: KVMemory) -> str:
    """Every size exactly, the verdict, and the largest batch that fits."""
    c, number = data.config, figures.format_number
    lines = [
        f"{data.model}: {number(data.parameters)} parameters, {_exact(data.weight_bytes)} in {data.weight_dtype}",
        f"KV cache a token: 2 x {c.num_layers} layers x {c.num_kv_heads} KV heads x {c.head_dim} x "
        f"{CACHE_DTYPES[data.cache_dtype]} bytes = {_exact(data.bytes_per_token)}",
        f"KV cache in all: x {number(data.length)} tokens x {data.batch} requests = {_exact(data.cache_bytes)}",
        f"weights and cache: {_exact(data.total_bytes)}; {data.gpu} has {_exact(data.gpu_bytes)}",
        _verdict(data),
    ]
    if data.cache_in_window < data.cache_bytes:
        lines.append(
            f"a ring buffer for its sliding window of {number(c.sliding_window or 0)} tokens keeps {_exact(data.cache_in_window)}"
        )
    if data.length > c.max_position_embeddings:
        lines.append(
            f"{data.model} was made for at most {number(c.max_position_embeddings)} tokens; longer texts need another model"
        )
    if data.cache_dtype in ("fp8", "int8"):
        lines.append(f"the scales that go with {data.cache_dtype} are not counted")
    return "\n".join(lines)


def _verdict(data: KVMemory) -> str:
    if data.fits:
        spare = figures.format_bytes(data.gpu_bytes - data.total_bytes)
        return f"fits, {spare} to spare for activations; largest batch at this length: {number_of(data.max_batch)}"
    needed = math.ceil(data.total_bytes / data.gpu_bytes)
    if not data.max_batch:
        why = (
            "the weights alone are too large"
            if data.weight_bytes > data.gpu_bytes
            else "not even one request of this length fits"
        )
        return f"does not fit: {why}; at least {needed} such GPUs"
    return f"does not fit; largest batch at this length: {number_of(data.max_batch)}; or at least {needed} such GPUs"


def number_of(batch: int) -> str:
    """A batch in words: "1 request", "59 requests"."""
    return f"{figures.format_number(batch)} request{'s' * (batch != 1)}"


def _exact(count: int) -> str:
    return f"{figures.format_number(count)} bytes ({figures.format_bytes(count)})"
