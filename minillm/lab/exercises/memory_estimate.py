"""The clinic 07.memory: an estimator of weights and cache that gets its units and its layers from thin air.

Estimators of this kind are passed around as one-liners. Their output has the form of an answer, and for no real model
is it one; a configuration file holds every number they guess.
"""

from __future__ import annotations

from minillm.lab.checks.call import LearnerCall
from minillm.lab.checks.cases import Property, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding
from minillm.measure.cost import kv_cache_bytes
from minillm.model.config import ModelConfig
from minillm.model.known import KNOWN_CONFIGS

NAMES = ("weights", "cache")


def _wanted(billions: float, config: ModelConfig, batch: int, length: int, weight: float = 2, cache: float = 2) -> tuple[float, float]:  # fmt: skip
    kept = kv_cache_bytes(batch, length, config.num_layers, config.num_kv_heads, config.head_dim, dtype_bytes=1)
    return billions * 1e9 * weight, kept * cache


def _compare(got: object, want: tuple[float, float], which: tuple[str, ...] = NAMES) -> Finding | None:
    if not isinstance(got, (tuple, list)) or len(got) != 2:
        return Finding("", (("got", repr(got)), ("want", "(weights, cache), both in bytes")))
    for name, theirs, ours in zip(NAMES, got, want, strict=True):
        if name in which and (finding := same(theirs, ours, (1e-6, 0.0))):
            return Finding("", (("what", f"{name}, in bytes"), *(fact for fact in finding.facts if fact[0] != "what")))
    return None


def _case(name: str, meaning: str, model: str, billions: float, batch: int, length: int, *which: str, **sizes: float) -> Property:  # fmt: skip
    def law(call: LearnerCall) -> Finding | None:
        config = KNOWN_CONFIGS[model]
        want = _wanted(billions, config, batch, length, sizes.get("weight_bytes", 2), sizes.get("cache_bytes", 2))
        finding = _compare(call(billions, config, batch, length, **sizes), want, which or NAMES)
        told = f"{billions} billion, {model}, {batch} x {length} tokens" + "".join(
            f", {n}={v:g}" for n, v in sizes.items()
        )
        return finding and Finding("", (("inputs", told), *finding.facts))

    return Property(name, law, meaning)


def _two_numbers(call: LearnerCall) -> Finding | None:
    got = call(8.03, KNOWN_CONFIGS["Llama-3.1-8B"], 1, 1)
    right = isinstance(got, (tuple, list)) and len(got) == 2
    return None if right else Finding("", (("got", repr(got)), ("want", "(weights, cache)")))


def _batch_is_the_caches(call: LearnerCall) -> Finding | None:
    config = KNOWN_CONFIGS["Qwen3-8B"]
    (one, kept), (same_weights, more) = call(8.19, config, 1, 1000), call(8.19, config, 6, 500)
    return same(same_weights, one, (1e-9, 0.0)) or same(more, 3 * kept, (1e-9, 0.0))


def _label_is_the_weights(call: LearnerCall) -> Finding | None:
    config = KNOWN_CONFIGS["Qwen3-8B"]
    return same(call(80.0, config, 4, 100)[1], call(0.8, config, 4, 100)[1], (1e-9, 0.0))


MEMORY = Exercise(
    id="07.memory",
    title="Clinic: the memory of a model, mended",
    statement=(
        "Return (weights, cache) in bytes: `billions` of parameters of weight_bytes each, and the keys and values of `batch` texts of "
        "`length` tokens with cache_bytes a number. `config` is a ModelConfig, as in lesson 02."
    ),
    signature="mended_memory(billions, config, batch, length, weight_bytes=2, cache_bytes=2)",
    layers={
        "contract": (Property("two numbers", _two_numbers, "Return (weights, cache)."),),
        "values": (
            _case("weights of 8 billion", "A billion is a count; what a parameter takes is bytes.", "Llama-3.1-8B", 8.030261248, 1, 1, "weights"),
            _case("weights in 4 bits", "Half a byte a parameter.", "Llama-3.1-70B", 70.6, 1, 1, "weights", weight_bytes=0.5),
            _case("one token of Llama-2-7B", "The number of layers stands in the configuration: 32, not a thousand.", "Llama-2-7B", 6.738415616, 1, 1),
            _case("one token of Llama-3.1-8B", "Only key/value heads are kept: 8 of the 32.", "Llama-3.1-8B", 8.030261248, 1, 1),
            _case("one token of Qwen3-0.6B", "Heads are head_dim wide, which is not C / H in this model.", "Qwen3-0.6B", 0.596, 1, 1),
            _case("32 chats", "Every token of every text is kept.", "Llama-3.1-8B", 8.03, 32, 4096),
            _case("small weights, ordinary cache", "Four-bit weights do not shrink keys and values.", "Llama-3.1-70B", 70.6, 8, 2048, weight_bytes=0.5),
            _case("ordinary weights, small cache", "A cache of one byte a number does not shrink the weights.", "Qwen2.5-7B", 7.62, 8, 2048, cache_bytes=1),
        ),
        "properties": (
            Property("texts belong to the cache", _batch_is_the_caches, "More texts, or longer ones, take no more weights; the cache grows with the number of tokens in all."),
            Property("the label says nothing about the cache", _label_is_the_weights, "Two models may share layers, heads and widths, and differ in parameters: their caches are equal."),
        ),
    },
    hints=(
        "Write the unit behind every number of the patient: count, bytes, bytes a number. Two lines mix them.",
        "Weights: parameters times bytes each. Cache: two vectors a token, layer and key/value head, each D numbers.",
        "weights = billions * 1e9 * …\ncache = 2 * layers * key/value heads * head width * tokens in all * …",
    ),
    solution="minillm/measure/attention_cost.py: kv_cache_bytes, and notebooks/solutions/lesson_07.py: mended_memory",
)  # fmt: skip
