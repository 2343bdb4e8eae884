"""Exercises of lesson 02: heads that share keys and values, the bytes that saves, and a layer that shares them wrongly."""

from __future__ import annotations

import torch

from minillm.lab.checks import inputs
from minillm.lab.checks.call import Given, LearnerCall
from minillm.lab.checks.cases import Budget, Contract, Numbers, Property, Values, given, same
from minillm.lab.checks.exercise import Exercise
from minillm.lab.checks.result import Finding
from minillm.lab.exercises.mean_pool import MEAN_POOL
from minillm.model.config import ModelConfig
from minillm.model.known import KNOWN_CONFIGS

LLAMA_2, LLAMA_3, QWEN_3 = (KNOWN_CONFIGS[name] for name in ("Llama-2-7B", "Llama-3.1-8B", "Qwen3-0.6B"))


def _attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, causal: bool = False) -> torch.Tensor:
    from minillm.attention.naive import naive_attention

    return naive_attention(q, k, v, causal=causal)  # type: ignore[return-value]


def _bytes_case(
    name: str, config: ModelConfig, batch: int, length: int, want: int, meaning: str, **more: int
) -> Numbers:
    return Numbers(name, (config, batch, length), want=want, unit="bytes", meaning=meaning, kwargs=more)


KV_BYTES = Exercise(
    id="02.kv_bytes",
    title="How large is the KV cache?",
    statement=(
        "Return the bytes of keys and values that a model keeps for `batch` texts of `length` tokens each. `config` is a "
        "ModelConfig: it has num_layers, num_heads, num_kv_heads, head_dim and hidden_size, not all of which you need."
    ),
    signature="kv_bytes(config, batch, length, element_bytes=2)",
    layers={
        "values": (
            _bytes_case(
                "one token of Llama-2-7B", LLAMA_2, 1, 1, 2 * 32 * 32 * 128 * 2,
                "A token leaves one key and one value, in each layer, for each key/value head, of D numbers each.",
            ),
            _bytes_case(
                "one token of Llama-3.1-8B", LLAMA_3, 1, 1, 2 * 32 * 8 * 128 * 2,
                "Only key/value heads are kept: this model has 32 query heads and 8 key/value heads.",
            ),
            _bytes_case(
                "16 chats of Llama-3.1-8B", LLAMA_3, 16, 8192, 2 * 32 * 8 * 128 * 2 * 16 * 8192,
                "Every token of every chat is kept.",
            ),
            _bytes_case(
                "one token of Qwen3-0.6B", QWEN_3, 1, 1, 2 * 28 * 8 * 128 * 2,
                "The head width is config.head_dim; hidden_size / num_heads is another number in this model.",
            ),
            _bytes_case(
                "Llama-3.1-8B with one key/value head", LLAMA_3.with_(num_kv_heads=1), 3, 100, 2 * 32 * 128 * 2 * 300,
                "Multi-query attention is G = 1: the same formula.",
            ),
            _bytes_case(
                "an fp8 cache", LLAMA_3, 2, 1000, 2 * 32 * 8 * 128 * 2000,
                "One byte a number halves the cache: use element_bytes.", element_bytes=1,
            ),
        ),
    },
    hints=(
        "Ask what one token leaves behind in one layer. Then count layers, tokens and texts.",
        "For Llama-3.1-8B in 16 bits, one token leaves 131 072 bytes over all layers; and the number of query heads does "
        "not matter.",
        "2 (a key and a value) * layers * key/value heads * head width * tokens in all texts * bytes a number",
    ),
    solution="minillm/measure/attention_cost.py: kv_cache_bytes",
)  # fmt: skip


def _only_its_group(call: LearnerCall) -> Finding | bool | None:
    q, k, v = inputs.qkv("only its group", B=1, L=3, S=5, H=6, G=3)
    louder = v.clone()
    louder[:, :, 1] += 10.0
    others = [0, 1, 4, 5]  # the query heads that do not read key/value head 1
    return same(call(q, k, louder)[:, :, others], call(q, k, v)[:, :, others])


def _copies_change_nothing(call: LearnerCall) -> Finding | bool | None:
    q, k, v = inputs.qkv("copies change nothing", B=2, L=4, S=7, H=8, G=2)
    copied = call(q, k.repeat_interleave(4, dim=2), v.repeat_interleave(4, dim=2))
    return same(call(q, k, v), copied)


def _shared(name: str, H: int, G: int, meaning: str) -> Values:
    make = lambda: given(*inputs.qkv(name, B=2, L=4, S=6, H=H, G=G), causal=True)  # noqa: E731
    return Values(name, make, _attention, meaning, where=inputs.attention_place)


def _one_step() -> Given:
    """One decode step: one query row, 512 keys, four query heads to a key/value head."""
    return given(*inputs.qkv("one decode step", B=1, L=1, S=512, H=8, G=2, D=64))


KEY_BYTES = 512 * 2 * 64 * 4  # of the keys in `_one_step`; the values take as many

GROUPED = Exercise(
    id="02.grouped",
    title="Grouped-query attention that copies nothing",
    statement=(
        "Write attention for q (B, L, H, D) and k, v (B, S, G, D), where query head h reads key/value head h // (H / G). "
        "Causal is aligned to the bottom right, a row that sees nothing gives 0, and k and v are never expanded to H heads."
    ),
    signature="grouped_attention(q, k, v, causal=False)",
    forbid=("scaled_dot_product", "multi_head_attention", "flex_attention"),
    layers={
        "contract": (
            Contract("returns q's shape", lambda: given(*inputs.qkv("contract", H=6, G=2)), _attention),
            Contract("keeps float64", lambda: given(*inputs.qkv("64", H=6, G=2, dtype=torch.float64)), _attention),
            Contract("keeps bfloat16", lambda: given(*inputs.qkv("16", H=6, G=2, dtype=torch.bfloat16)), _attention),
        ),
        "values": (
            *inputs.attention_values(_attention, grouped=True),
            _shared("MHA, G = H", 4, 4, "With as many key/value heads as query heads, each has its own."),
            _shared("MQA, G = 1", 4, 1, "With one key/value head, every query head reads it."),
            _shared(
                "three pairs", 6, 3, "Heads 0 and 1 read key/value head 0, heads 2 and 3 read 1, heads 4 and 5 read 2."
            ),
        ),
        "properties": (
            Property(
                "a value head reaches only its group",
                _only_its_group,
                "With H = 6 and G = 3, key/value head 1 is read by query heads 2 and 3 alone.",
            ),
            Property(
                "copying heads changes nothing",
                _copies_change_nothing,
                "Sharing a key/value head must equal giving each query head of the group its own copy.",
            ),
        ),
        "resources": (
            Budget(
                "makes nothing larger than k",
                _one_step,
                {"largest_tensor_bytes": KEY_BYTES},
                "Some tensor has H heads of keys or values: expanding copies each shared head H / G times.",
            ),
            Budget(
                "reads k and v about once",
                _one_step,
                {"bytes_loaded": 2 * KEY_BYTES * 5 // 2},
                "Each key/value head is fetched once for every query head. Let the whole group meet it in one product.",
            ),
        ),
    },
    hints=(
        "Do not bring the keys to the queries' shape; bring the queries to the keys'. H heads are G groups of H / G.",
        "Query heads g*R to g*R + R - 1, with R = H / G, all meet key/value head g: so the group is the outer part of "
        "the head index, and the output is flattened back in the same order.",
        "q = q.unflatten(2, (G, H // G))                     # (B, L, G, R, D)\n"
        "scores = einsum over d of q and k, times D**-0.5     # (B, G, R, L, S)\n"
        "mask j > i + S - L, softmax, and 0 for rows that see nothing\n"
        "out = einsum over s of weights and v                 # (B, L, G, R, D), then flatten(2, 3)",
    ),
    solution="minillm/attention/sdpa.py: attend_one_query (one query row), and notebooks/solutions/lesson_02.py",
)


def _layer(
    x: torch.Tensor, w_q: torch.Tensor, w_k: torch.Tensor, w_v: torch.Tensor, num_heads: int, num_kv_heads: int
) -> torch.Tensor:
    q = (x @ w_q.T).unflatten(-1, (num_heads, -1))
    k, v = ((x @ w.T).unflatten(-1, (num_kv_heads, -1)) for w in (w_k, w_v))
    return _attention(q, k, v, causal=True).flatten(2)


def _layer_inputs(name: str, H: int, G: int, D: int, C: int) -> Given:
    x, w_q, w_k, w_v = (
        inputs.normal(f"{name} {part}", *shape)
        for part, shape in (("x", (2, 5, C)), ("q", (H * D, C)), ("k", (G * D, C)), ("v", (G * D, C)))
    )
    return given(x, w_q / C**0.5, w_k / C**0.5, w_v / C**0.5, H, G)


def _layer_case(name: str, meaning: str, H: int, G: int, D: int, C: int) -> Values:
    return Values(name, lambda: _layer_inputs(name, H, G, D, C), _layer, meaning)


def _the_future_is_hidden(call: LearnerCall) -> Finding | bool | None:
    x, *rest = _layer_inputs("the future", 4, 2, 8, 16).args
    changed = x.clone()
    changed[:, 3:] = 9.0
    return same(call(changed, *rest)[:, :3], call(x, *rest)[:, :3])


CLINIC = Exercise(
    id="02.clinic",
    title="A layer that passes its author's tests",
    statement=(
        "Mend `sick_layer`: x (B, L, C), w_q (H * D, C), w_k and w_v (G * D, C) -> (B, L, H * D), causal, for any H, G, "
        "D and C with H a multiple of G."
    ),
    signature="mended_layer(x, w_q, w_k, w_v, num_heads, num_kv_heads)",
    layers={
        "contract": (Contract("returns (B, L, H * D)", lambda: _layer_inputs("shape", 4, 4, 4, 16), _layer),),
        "values": (
            _layer_case("the author's first test", "MHA with H = D = 4 worked before: keep it so.", 4, 4, 4, 16),
            _layer_case("the author's second test", "MQA with H = D = 4 worked before: keep it so.", 4, 1, 4, 16),
            _layer_case("wider heads", "Scores are divided by the square root of D, the width of a head; nothing else.", 4, 4, 8, 32),
            _layer_case(
                "two groups", "Query heads 0 and 1 read key/value head 0, and 2 and 3 read 1: which heads end up side by side?",
                4, 2, 4, 16,
            ),
            _layer_case("heads wider than the model", "D is not always C / H: take it from the weights.", 4, 2, 8, 16),
            _layer_case("heads narrower than the model", "D is not always C / H: take it from the weights.", 6, 3, 2, 20),
        ),
        "properties": (
            Property(
                "the future is hidden",
                _the_future_is_hidden,
                "The layer is causal: what comes later must not change what came before.",
            ),
        ),
    },
    hints=(
        "The author tried one set of sizes. Which numbers are equal there that need not be?",
        "In the author's tests H = D, C = H * D, and G is 1 or H. Each coincidence hides one fault.",
        "head width: w_q.shape[0] // num_heads\nscale: the root of that width\n"
        "sharing: each key/value head H / G times in a row, not the whole list over and over",
    ),
    solution="notebooks/solutions/lesson_02.py: mended_layer",
)  # fmt: skip

EXERCISES = (KV_BYTES, GROUPED, MEAN_POOL, CLINIC)
