"""How much memory a model takes to serve some texts: weights, KV cache, and what a pass needs while it runs.

Weights are paid once. The cache is paid for every text and token, and stays. Activations and workspace come and go with
each pass, so their largest moment counts. Nothing is guessed: every number follows from the model's configuration, and the
tests compare the sum with what was really allocated.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from minillm.errors import InvalidType, InvalidValue, nearest_divisors, rule_numbers_remedy, unknown_name
from minillm.measure.model_cost import parameter_count
from minillm.measure.numbers import require_whole
from minillm.measure.pass_memory import Moment, Numbers, Pass, moments

FLOAT_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
QUANTIZED_BYTES = {"int8": 1, "float8_e4m3fn": 1}
SCALE_BYTES = 4  # one float32 a token and head for a quantised cache
SIZES = ("vocab_size", "hidden_size", "intermediate_size", "num_layers", "num_heads", "num_kv_heads", "head_dim")
FLAGS = {"tied": "tie_word_embeddings"} | {name: name for name in ("qk_norm", "qkv_bias", "output_bias", "mlp_bias")}


@dataclass(frozen=True, repr=False)
class MemoryEstimate:
    """Bytes a deployment takes: `weights`, `kv_cache`, and the largest moment of a pass as `activations` and `workspace`.

    `activations` are what the layers compute, logits included; `workspace` is what helps them: rotary angles, masks, and
    what attention copies. `peak` names the moment, `moments` lists all of that pass. Printed, it is a table.
    """

    weights: int
    kv_cache: int
    activations: int
    workspace: int
    peak: str
    moments: tuple[Moment, ...] = ()

    @property
    def total(self) -> int:
        return self.weights + self.kv_cache + self.activations + self.workspace

    def __repr__(self) -> str:
        rows = [("weights", self.weights), ("KV cache", self.kv_cache)]
        rows += [(f"activations ({self.peak})", self.activations), ("workspace", self.workspace), ("total", self.total)]
        names, numbers = (max(len(f"{row[i]:,}" if i else row[i]) for row in rows) for i in (0, 1))
        return "\n".join(
            f"{name:<{names}}  {number:>{numbers},} B  {number / self.total:4.0%}" for name, number in rows
        )


def estimate_memory(
    config: Any,
    batch: int,
    length: int,
    *,
    dtype: Any = "float32",
    kv_dtype: Any = None,
    chunk: int | None = None,
    block_size: int | None = None,
    shared: int = 0,
    ragged: bool = False,
    all_logits: bool = False,
) -> MemoryEstimate:
    """A model's config and B texts of up to `length` tokens -> MemoryEstimate, in bytes.

    config      anything with vocab_size, hidden_size, intermediate_size, num_layers, num_heads, num_kv_heads and head_dim;
                where it has them, also biases, norms, windows, tied embeddings and max_position_embeddings
    dtype       of weights and activations, by name or as torch's own: float32, bfloat16, float16, float64
    kv_dtype    of the cache if it differs: int8 and float8_e4m3fn bring one float32 scale a token and head
    chunk       tokens of each text in one pass: all at once if None, 1 for decoding alone
    block_size  of a paged cache, which gives each text whole blocks; None is a slab of `length` tokens a text
    shared      tokens at the start that all texts have in common: their whole blocks are kept once
    ragged      texts of different lengths in a contiguous cache, of which `length` is the longest
    all_logits  score every token of a pass, as training and evaluation do, and not only each text's last

    Counted is what our decoder keeps alive without gradients; a library's scratch within one call is not. Raises
    InvalidType or InvalidValue for what is missing or makes no sense.
    """
    require_whole(batch=batch, length=length, chunk=1 if chunk is None else chunk)
    require_whole(at_least=0, shared=shared)
    n = _numbers(config, _bytes_of("dtype", dtype, FLOAT_BYTES))
    if n.most_positions is not None and length > n.most_positions:
        rule = f"the model sees at most {n.most_positions} positions"
        raise InvalidValue(rule_numbers_remedy(rule, f"a length of {length}", "shorten the texts"))
    flags = {ours: bool(getattr(config, name, False)) for ours, name in FLAGS.items()}
    weights = parameter_count(**{name: getattr(config, name) for name in SIZES}, **flags) * n.width
    cache = _slots(batch, length, block_size, shared) * _bytes_per_token(n, kv_dtype)
    passes = _passes(batch, length, min(chunk or length, length), ragged, all_logits)
    points = max((tuple(moments(n, p)) for p in passes), key=lambda points: max(m.total for m in points))
    high = max(points, key=lambda moment: moment.total)
    return MemoryEstimate(weights, cache, high.activations, high.workspace, high.name, points)


def _passes(batch: int, length: int, chunk: int, ragged: bool, all_logits: bool) -> list[Pass]:
    """The passes that may hold the most: the last whole chunk, what is left of the text, and one token a ragged row.

    Prompts of different lengths are read padded to one, so only decoding is ragged.
    """
    whole, rest = length // chunk * chunk, length % chunk
    found = [Pass(batch, chunk, whole, all_logits=all_logits)] if whole else []
    found += [Pass(batch, rest, length, all_logits=all_logits)] if rest else []
    return found + [Pass(batch, 1, length, ragged=True, all_logits=all_logits)] * ragged


def _slots(batch: int, length: int, block_size: int | None, shared: int) -> int:
    """Tokens there is room for: whole blocks when paged, those of a shared beginning once."""
    if block_size is None:
        if shared:
            rule = "a shared beginning needs a paged cache"
            raise InvalidValue(rule_numbers_remedy(rule, f"shared={shared} and no block_size", "pass block_size=16"))
        return batch * length
    require_whole(block_size=block_size)
    if shared > length:
        rule = f"what is shared lies within the length, {length}"
        raise InvalidValue(rule_numbers_remedy(rule, str(shared), "share less, or lengthen the texts"))
    common = shared // block_size
    return (common + batch * (-(-length // block_size) - common)) * block_size


def _bytes_per_token(n: Numbers, kv_dtype: Any) -> int:
    """Keys and values of one token in all layers, with their scales if the cache is quantised."""
    if kv_dtype is None:
        return 2 * n.N * n.G * n.D * n.width
    size = _bytes_of("kv_dtype", kv_dtype, FLOAT_BYTES | QUANTIZED_BYTES)
    scales = SCALE_BYTES if size == 1 else 0
    return 2 * n.N * n.G * (n.D * size + scales)


def _bytes_of(name: str, dtype: Any, known: dict[str, int]) -> int:
    """A dtype, or its name -> bytes of one number."""
    word = str(dtype).removeprefix("torch.")
    if word not in known:
        raise unknown_name(name, word, known)
    return known[word]


def _numbers(config: Any, width: int) -> Numbers:
    """Read what is needed off a config, and refuse what cannot be one."""
    missing = [name for name in SIZES if not hasattr(config, name)]
    if missing:
        rule = f"config must have {', '.join(SIZES)}"
        raise InvalidType(rule_numbers_remedy(rule, f"one without {', '.join(missing)}", "pass a ModelConfig"))
    sizes = {name: getattr(config, name) for name in SIZES}
    require_whole(**sizes)
    if sizes["num_heads"] % sizes["num_kv_heads"]:
        found = f"{sizes['num_heads']} and {sizes['num_kv_heads']}"
        nearest = nearest_divisors(sizes["num_heads"], sizes["num_kv_heads"])
        rule = "num_heads must be a multiple of num_kv_heads"
        raise InvalidValue(rule_numbers_remedy(rule, found, f"nearest valid num_kv_heads: {nearest}"))
    V, C, F, N, H, G, D = sizes.values()
    most = getattr(config, "max_position_embeddings", None)
    return Numbers(V, C, F, N, H, G, D, width, bool(getattr(config, "qk_norm", False)), _windows(config, N), most)


def _windows(config: Any, num_layers: int) -> tuple[int | None, ...]:
    """The different windows of a model's layers; None is a layer that sees everything."""
    window, layers = getattr(config, "sliding_window", None), set(range(num_layers))
    sliding = set() if window is None else layers & set(getattr(config, "sliding_layers", ()))
    return (None,) * bool(layers - sliding) + (window,) * bool(sliding)
