"""How much memory a model takes to serve some texts: weights, KV cache, and what a pass needs while it runs.

Weights are paid once. The cache is paid for every text and token, and stays. Activations and workspace come and go with
each pass, so their largest moment counts. Nothing is guessed: every number follows from the model's configuration, and the
tests compare the sum with what was really allocated.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from minillm.errors import InvalidType, InvalidValue, nearest_divisors, rule_numbers_remedy, unknown_name
from minillm.measure.attend_memory import Numbers, Pass
from minillm.measure.model_cost import parameter_count
from minillm.measure.numbers import require_switch, require_whole
from minillm.measure.pass_memory import Moment, moments

FLOAT_BYTES = {"float64": 8, "float32": 4, "bfloat16": 2, "float16": 2}
QUANTIZED_BYTES = {"int8": 1, "fp8": 1, "float8_e4m3fn": 1}
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
    ring: bool = False,
    ragged: bool = False,
    all_logits: bool = False,
) -> MemoryEstimate:
    """A model's config and B texts of up to `length` tokens -> MemoryEstimate, in bytes.

    config      anything with vocab_size, hidden_size, intermediate_size, num_layers, num_heads, num_kv_heads and head_dim;
                where it has them, also biases, norms, windows, tied embeddings and max_position_embeddings
    dtype       of weights, activations and cache, by name or torch's own: float32, bfloat16, float16, float64
    kv_dtype    of a paged cache in 8 bits: "int8" or "fp8", with a float32 scale a token and head
    chunk       tokens of each text in one pass: all at once if None, 1 for decoding alone
    block_size  of a paged cache, which gives each text whole blocks; None is a slab of `length` tokens a text
    shared      tokens at the start that all texts have in common: their whole blocks are kept once
    ring        layers with a window keep no more than that
    ragged      texts of different lengths in a slab, of which `length` is the longest
    all_logits  score every token of a pass, as training and evaluation do, and not only each text's last

    Counted is what our decoder and its torch attention keep alive without gradients, pages lying in no order; a library's
    scratch within one call is not. Raises InvalidType or InvalidValue for what is missing or makes no sense.
    """
    require_whole(batch=batch, length=length, chunk=1 if chunk is None else chunk)
    require_switch(ring=ring, ragged=ragged, all_logits=all_logits)
    n = _numbers(config, _bytes_of("dtype", dtype, FLOAT_BYTES))
    if n.most_positions is not None and length > n.most_positions:
        rule = f"the model sees at most {n.most_positions} positions"
        raise InvalidValue(rule_numbers_remedy(rule, f"a length of {length}", "shorten the texts"))
    kind = _kind_of_cache(n, block_size, ring, ragged)
    stored = 0 if kv_dtype is None else _bytes_of("kv_dtype", kv_dtype, QUANTIZED_BYTES)
    slots = _slots(n, batch, length, kind, block_size, shared)
    if stored and kind != "pages":
        raise InvalidValue(rule_numbers_remedy("a cache in 8 bits is paged", "no block_size", "pass block_size=16"))
    flags = {ours: bool(getattr(config, name, False)) for ours, name in FLAGS.items()}
    weights = parameter_count(**{name: getattr(config, name) for name in SIZES}, **flags) * n.width
    cache = 2 * slots * n.G * (n.D * stored + SCALE_BYTES if stored else n.D * n.width)
    options = dict(block_size=block_size or 1, stored=stored, all_logits=all_logits)
    passes = _passes(batch, length, min(chunk or length, length), kind, options)
    points = max((tuple(moments(n, p)) for p in passes), key=lambda points: max(m.total for m in points))
    high = max(points, key=lambda moment: moment.total)
    return MemoryEstimate(weights, cache, high.activations, high.workspace, high.name, points)


def _kind_of_cache(n: Numbers, block_size: int | None, ring: bool, ragged: bool) -> str:
    chosen = [name for name, is_it in (("pages", block_size is not None), ("ring", ring), ("ragged", ragged)) if is_it]
    if len(chosen) > 1:
        rule = "a cache is paged, a ring, or a slab of ragged rows"
        raise InvalidValue(rule_numbers_remedy(rule, " and ".join(chosen), "choose one"))
    if block_size is not None:
        require_whole(block_size=block_size)
    if ring and not n.sliding:
        raise InvalidValue(rule_numbers_remedy("a ring needs layers with a window", "none", "leave ring out"))
    return chosen[0] if chosen else "slab"


def _passes(batch: int, length: int, chunk: int, kind: str, options: dict[str, Any]) -> list[Pass]:
    """The passes that may hold the most: the last whole chunk, what is left of the text, and one token a ragged row.

    Prompts of different lengths are read padded to one, so only decoding is ragged.
    """
    whole, rest = length // chunk * chunk, length % chunk
    reading = "slab" if kind == "ragged" else kind
    found = [Pass(batch, chunk, whole, reading, **options)]
    found += [Pass(batch, rest, length, reading, **options)] if rest else []
    return found + [Pass(batch, 1, length, kind, **options)] * (kind == "ragged")


def _slots(n: Numbers, batch: int, length: int, kind: str, block_size: int | None, shared: int) -> int:
    """Tokens there is room for in all layers: whole blocks when paged, those of a shared beginning once."""
    require_whole(at_least=0, shared=shared)
    if shared and block_size is None:
        rule = "a shared beginning needs a paged cache"
        raise InvalidValue(rule_numbers_remedy(rule, f"shared={shared} and no block_size", "pass block_size=16"))
    if shared > length:
        rule = f"what is shared lies within the length, {length}"
        raise InvalidValue(rule_numbers_remedy(rule, str(shared), "share less, or lengthen the texts"))
    if block_size is not None:
        common = shared // block_size
        return n.N * (common + batch * (-(-length // block_size) - common)) * block_size
    window = next((w for w in n.windows if w is not None), 0)
    rings = n.sliding if kind == "ring" else 0
    return batch * (rings * window + (n.N - rings) * length)


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
    window, layers = getattr(config, "sliding_window", None), set(range(N))
    slides = getattr(config, "sliding_layers", None) or ()
    if not isinstance(slides, Collection):
        raise InvalidType(rule_numbers_remedy("sliding_layers must be numbers of layers", repr(slides), "list them"))
    sliding = set() if window is None else layers & set(slides)
    windows = (None,) * bool(layers - sliding) + (window,) * bool(sliding)
    norms, most = bool(getattr(config, "qk_norm", False)), getattr(config, "max_position_embeddings", None)
    known = {"sliding_window": window, "max_position_embeddings": most}
    require_whole(**{name: number for name, number in known.items() if number is not None})
    return Numbers(V, C, F, N, H, G, D, width, norms, windows, len(sliding), most)
