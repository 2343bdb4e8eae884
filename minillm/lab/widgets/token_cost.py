"""What does the next token cost? FLOPs, bytes and seconds on paper against the length of the text, with and without a cache.

Without a cache the whole text is read again for every token; with one, only the newest token is, and what was kept is
fetched instead. So a cache trades multiplying for memory, and where the lines cross is where the trade begins to pay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from minillm.errors import unknown_name
from minillm.lab import figures
from minillm.lab.widgets.base import Choice, Explorer, State, Steps, Still, show
from minillm.lab.widgets.token_cost_picture import draw_token_cost, times
from minillm.measure import cost
from minillm.measure.hardware import KNOWN_HARDWARE, Hardware

if TYPE_CHECKING:
    from minillm.lab.widgets.shell import Panel
    from minillm.model import ModelConfig

DTYPE, DTYPE_BYTES = "bfloat16", 2
BATCHES = (1, 4, 16, 64, 256)
LENGTHS = tuple(2**power for power in range(4, 18))
GPUS = tuple(
    name for name, machine in KNOWN_HARDWARE.items() if machine.memory_bytes and DTYPE in machine.matmul_flops_per_s
)


@dataclass(frozen=True)
class StepCost:
    """One decode step of a batch: FLOPs issued to matrix products, bytes of weights and of keys and values it must read."""

    flops: int
    weight_bytes: int
    cache_bytes: int

    def seconds(self, machine: Hardware) -> float:
        """The least time by the datasheet: memory or multipliers, whichever takes longer."""
        moved = self.weight_bytes + self.cache_bytes
        return cost.roofline_time(moved, self.flops, machine.bandwidth_bytes_per_s, machine.rate(DTYPE))


@dataclass(frozen=True)
class TokenCost:
    """A model, a GPU, a batch and a length, with both ways of making one more token for every text of the batch."""

    model: str
    config: ModelConfig
    machine: Hardware
    batch: int
    length: int

    def with_cache(self, length: int) -> StepCost:
        """Only the newest token of each text is read; the keys and values of `length` tokens are fetched."""
        c = self.config
        matrices = cost.matrix_parameters(*self._sizes)
        seen = [min(length, c.window_of(layer) or length) for layer in range(c.num_layers)]
        attention = sum(cost.attention_flops(1, 1, keys, c.num_heads, c.head_dim).issued for keys in seen)
        kept = sum(
            cost.kv_cache_bytes(1, keys, 1, c.num_kv_heads, c.head_dim, dtype_bytes=DTYPE_BYTES) for keys in seen
        )
        return StepCost(self.batch * (2 * matrices + attention), self.weight_bytes, self.batch * kept)

    def without_cache(self, length: int) -> StepCost:
        """Every token of each text is read, hidden pairs are skipped, and only the last row is scored; nothing is kept."""
        c = self.config
        head = c.vocab_size * c.hidden_size
        matrices = (cost.matrix_parameters(*self._sizes) - head) * length + head
        attention = sum(
            cost.attention_flops(
                1, length, length, c.num_heads, c.head_dim, causal=True, window=c.window_of(layer)
            ).useful
            for layer in range(c.num_layers)
        )
        return StepCost(self.batch * (2 * matrices + attention), self.weight_bytes, 0)

    @property
    def weight_bytes(self) -> int:
        """Weights that multiply every token, in bfloat16: each is read once a step, whatever the batch."""
        return cost.weight_bytes(cost.matrix_parameters(*self._sizes), dtype_bytes=DTYPE_BYTES)

    @property
    def lengths(self) -> tuple[int, ...]:
        """The lengths of the curves: powers of two that the model was made for."""
        return tuple(length for length in LENGTHS if length <= self.config.max_position_embeddings)

    @property
    def pays_from(self) -> int | None:
        """The shortest text for which the cache saves time on paper; None if there is none that the model can read."""
        return self._first(
            lambda S: self.with_cache(S).seconds(self.machine) < self.without_cache(S).seconds(self.machine)
        )

    @property
    def outweighs_from(self) -> int | None:
        """The shortest text whose cache takes more bytes a step than the weights; None if there is none."""
        return self._first(lambda S: self.with_cache(S).cache_bytes > self.weight_bytes)

    @property
    def _sizes(self) -> tuple[int, ...]:
        c = self.config
        return (c.vocab_size, c.hidden_size, c.intermediate_size, c.num_layers, c.num_heads, c.num_kv_heads, c.head_dim)

    def _first(self, holds) -> int | None:  # type: ignore[no-untyped-def]
        """The first length for which `holds`, which stays true from there on; found by halving."""
        low, high = 0, self.config.max_position_embeddings
        if not holds(high):
            return None
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (low, middle) if holds(middle) else (middle, high)
        return high


def next_token_cost(model: str = "Llama-3.1-8B", gpu: str = "H100-SXM") -> Panel | Still:
    """Names in KNOWN_CONFIGS and GPUS to start from -> a widget: the cost of the next token with and without a cache.

    Arithmetic from datasheets, not measurements. Raises InvalidValue, naming the nearest, for an unknown model or GPU.
    """
    return show(explore_token_cost(model, gpu))


def explore_token_cost(model: str = "Llama-3.1-8B", gpu: str = "H100-SXM") -> Explorer[TokenCost]:
    """The same without the controls: `.data(length=1024)`, `.text(batch=64)`, `.still(model="Mistral-7B-v0.1")`."""
    from minillm.model import KNOWN_CONFIGS

    for kind, name, known in (("model", model, tuple(KNOWN_CONFIGS)), ("GPU", gpu, GPUS)):
        if name not in known:
            raise unknown_name(kind, name, known)
    controls = (
        Choice("model", "Model", "", tuple(KNOWN_CONFIGS), model),
        Choice("gpu", "GPU", "by its datasheet", GPUS, gpu),
        Steps("batch", "Batch", "texts", BATCHES, 1),
        Steps("length", "Length", "tokens a text", LENGTHS, 8192, tuple(map(figures.format_number, LENGTHS))),
    )

    def compute(state: State) -> TokenCost:
        config = KNOWN_CONFIGS[state["model"]]
        length = min(state["length"], config.max_position_embeddings)
        return TokenCost(state["model"], config, KNOWN_HARDWARE[state["gpu"]], state["batch"], length)

    return Explorer("Cost of the next token", controls, compute, draw_token_cost, describe_token_cost)


def describe_token_cost(data: TokenCost) -> str:
    """Both ways at the chosen length, their ratio, and where the lines cross."""
    kept, again = data.with_cache(data.length), data.without_cache(data.length)
    texts = "1 text" if data.batch == 1 else f"{data.batch} texts"
    size, machine = figures.format_bytes, data.machine
    ratio = again.seconds(machine) / kept.seconds(machine)
    lines = [
        f"{data.model}, {texts} of {figures.format_number(data.length)} tokens, {DTYPE}, {machine.name}",
        f"read all again: {_flops(again.flops)} FLOPs, {size(again.weight_bytes)} of weights; at least {_time(again.seconds(machine))}",
        f"with a cache:   {_flops(kept.flops)} FLOPs, {size(kept.weight_bytes)} of weights and "
        f"{size(kept.cache_bytes)} of cache; at least {_time(kept.seconds(machine))}",
        f"FLOPs divided by {times(again.flops / kept.flops)}, least time by {times(ratio)}",
        _crossing("on paper the cache saves time from", data.pays_from, data),
        _crossing("a step reads more cache than weights from", data.outweighs_from, data),
    ]
    if data.weight_bytes + kept.cache_bytes > (machine.memory_bytes or 0):
        lines.append(f"weights and cache do not fit on one {machine.name}")
    return "\n".join(lines)


def _crossing(what: str, length: int | None, data: TokenCost) -> str:
    if length is None:
        return f"{what} no length up to the model's {figures.format_number(data.config.max_position_embeddings)} tokens"
    return f"{what} {figures.format_number(length)} tokens on"


def _flops(count: int) -> str:
    return figures.format_count(count) if count < 1e15 else f"{count:.3g}".replace("e+", "e")


def _time(seconds: float) -> str:
    return f"{times(seconds)} s" if seconds >= 1 else f"{1000 * seconds:.3g} ms"
