"""What a whole decoder costs: parameters, weight bytes and FLOPs per token, from the numbers in its config.

One decoder is a stack of N equal layers (attention, then a feed-forward network) between an embedding and a head. Every
weight matrix multiplies every token once, so two FLOPs per matrix weight and token is most of the story; attention over
the context is the rest.
"""

from __future__ import annotations

from minillm.measure.attention_cost import attention_flops
from minillm.measure.numbers import require_positive


def matrix_parameters(
    vocab_size: int,
    hidden_size: int,
    intermediate_size: int,
    num_layers: int,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
) -> int:
    """V, C, F, N, H, G, D -> weights that multiply every token: q, k, v, o, the three of SwiGLU, and the head.

    N · (2·C·H·D + 2·C·G·D + 3·C·F) + V·C. A tied head still multiplies, so it counts; an embedding is only looked up, and
    norms and biases do no dot, so they do not.
    """
    require_positive(vocab_size=vocab_size, hidden_size=hidden_size, intermediate_size=intermediate_size)
    require_positive(num_layers=num_layers, num_heads=num_heads, num_kv_heads=num_kv_heads, head_dim=head_dim)
    attention = 2 * hidden_size * head_dim * (num_heads + num_kv_heads)
    feed_forward = 3 * hidden_size * intermediate_size
    return num_layers * (attention + feed_forward) + vocab_size * hidden_size


def parameter_count(
    vocab_size: int,
    hidden_size: int,
    intermediate_size: int,
    num_layers: int,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    *,
    tied: bool = False,
    qk_norm: bool = False,
    qkv_bias: bool = False,
    output_bias: bool = False,
    mlp_bias: bool = False,
) -> int:
    """V, C, F, N, H, G, D -> parameters, exact for Llama, Mistral, Qwen2 (`qkv_bias`) and Qwen3 (`qk_norm`).

    `matrix_parameters`, plus the embedding V·C unless `tied` to the head, plus two norms of C a layer and one at the end,
    plus what the flags add: D + D a layer for q and k norms, (H + 2G)·D for q, k, v biases, C for the output projection's,
    2F + C for the feed-forward's.
    """
    total = matrix_parameters(vocab_size, hidden_size, intermediate_size, num_layers, num_heads, num_kv_heads, head_dim)
    per_layer = 2 * hidden_size
    per_layer += 2 * head_dim * qk_norm
    per_layer += (num_heads + 2 * num_kv_heads) * head_dim * qkv_bias
    per_layer += hidden_size * output_bias
    per_layer += (2 * intermediate_size + hidden_size) * mlp_bias
    return total + vocab_size * hidden_size * (not tied) + num_layers * per_layer + hidden_size


def weight_bytes(parameters: int, *, dtype_bytes: float = 2) -> int:
    """Parameters -> bytes they occupy; `dtype_bytes` may be a fraction, such as 0.5 for four-bit weights."""
    require_positive(parameters=parameters, dtype_bytes=dtype_bytes)
    return round(parameters * dtype_bytes)


def prefill_flops(
    batch: int,
    length: int,
    vocab_size: int,
    hidden_size: int,
    intermediate_size: int,
    num_layers: int,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
    *,
    causal: bool = False,
) -> int:
    """B, L and a model's V, C, F, N, H, G, D -> FLOPs of reading B prompts of L tokens, logits at every position.

    2 · `matrix_parameters` · B·L, plus N times attention's 4·B·H·D·L². Attention is counted as issued; `causal=True`
    counts only the pairs that may look, as a kernel that skips the masked half does.
    """
    matrices = matrix_parameters(
        vocab_size, hidden_size, intermediate_size, num_layers, num_heads, num_kv_heads, head_dim
    )
    attention = attention_flops(batch, length, length, num_heads, head_dim, causal=causal)
    return 2 * matrices * batch * length + num_layers * (attention.useful if causal else attention.issued)


def decode_flops_per_token(
    context_length: int,
    vocab_size: int,
    hidden_size: int,
    intermediate_size: int,
    num_layers: int,
    num_heads: int,
    num_kv_heads: int,
    head_dim: int,
) -> int:
    """S and a model's V, C, F, N, H, G, D -> FLOPs of one new token that looks at S keys, itself included.

    2 · `matrix_parameters` + 4·N·H·D·S: two FLOPs a weight, and attention that grows with the context.
    """
    matrices = matrix_parameters(
        vocab_size, hidden_size, intermediate_size, num_layers, num_heads, num_kv_heads, head_dim
    )
    return 2 * matrices + num_layers * attention_flops(1, 1, context_length, num_heads, head_dim).issued
