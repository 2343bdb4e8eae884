"""A decoder with nothing in the way: the model's own arithmetic, without its modules, on weights laid out to be read.

At batch 1 a small model's token takes longer to organise than to compute. Calling forty modules, and normalising in six
operations where three will do, costs more than the multiplications. So the weights are taken out of the modules once, and
the same layer is run as one plain function. What can be worked out once is: where a matrix is copied anyway, the norm
before it is multiplied into it.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from typing import NamedTuple, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from minillm.model.decoder import Decoder, DecoderLayer
from minillm.model.layers import RMSNorm
from minillm.serving.compute.packed_linear import COPIED, GATED, LAYOUTS, Linear, Norm, choose_layout

# Keep k, v (T, G, D) of the new tokens of a layer and attend with q (T, H, D) -> (T, H, D).
Attend = Callable[["Layer", Tensor, Tensor, Tensor], Tensor]

# "auto" copies weights only where that takes no more than this part of the machine's memory.
FREE_PART = 0.25


class Layer(NamedTuple):
    """All that one layer needs for its tokens, but for the cache. `head_norm` is that of queries and keys (H + G, D)."""

    number: int
    window: int | None
    input_norm: Norm
    qkv: Linear
    head_norm: Norm | None
    output: Linear
    post_norm: Norm
    gate_up: Linear
    down: Linear


class PlainDecoder:
    """A model's weights, for running any number of tokens, each of a text of its own or not.

    `weights` names their layout (see `packed_linear.LAYOUTS`): "auto" is the quickest that is no less exact. The model stays
    whole and usable, so any layout but "plain" takes `bytes_copied` more memory: as much as the weights, or twice, and half
    in 16 bits. Weights are read here once: a model that is changed afterwards needs another PlainDecoder.

    Equal to the modules up to rounding. Models of 16 bits are rounded between operations, so `fits` is False for those, and
    the modules should be called instead. Raises what `choose_layout` raises.
    """

    def __init__(self, model: Decoder, weights: str = "auto"):
        c, head = model.config, model.embed_tokens if model.lm_head is None else model.lm_head
        matrices = [m.weight for m in model.modules() if isinstance(m, nn.Linear)]
        size = sum(w.nbytes for w in matrices) + (model.lm_head is None) * head.weight.nbytes
        self.layout = choose_layout(weights, size, model.dtype, model.device, FREE_PART * _memory_bytes())
        self.bytes_copied = int(COPIED[self.layout] * size)
        with torch.inference_mode(False), torch.no_grad():
            self.layers = [self._take_apart(layer) for layer in cast("list[DecoderLayer]", model.layers)]
            self.norm, self.head = self._norm_and_linear(model.norm, head)
            self.embedding = model.embed_tokens.weight.detach()
            self.heads, self.intermediate_size = (c.num_heads, c.num_kv_heads, c.head_dim), c.intermediate_size
            self.loops = None
            if self.layout in GATED:
                from minillm.serving.compute import compiled

                self.loops = compiled
            # (D, D): ones on the diagonal, and ones where the other half of a pair is.
            ones = torch.eye(c.head_dim, dtype=model.dtype, device=model.device)
            self.stay, self.swap = ones, ones.roll(c.head_dim // 2, dims=-1)

    @staticmethod
    def fits(model: Decoder) -> bool:
        """Whether the arithmetic here gives what the modules give."""
        return model.dtype in (torch.float32, torch.float64)

    def run(self, token_ids: Tensor, cos: Tensor, sin: Tensor, attend: Attend) -> Tensor:
        """token_ids (T,), cos and sin (1, D) or (T, 1, D) -> hidden states (T, C), not yet normed."""
        (H, G, D), x = self.heads, self.embedding.index_select(0, token_ids)
        turn, (for_qkv, for_gated) = self._turning(cos, sin, len(token_ids)), self._rooms(x)
        for layer in self.layers:
            qkv = layer.qkv.after(layer.input_norm, x, for_qkv).view(-1, H + 2 * G, D)
            qk = qkv.narrow(1, 0, H + G)
            qk = turn(qk if layer.head_norm is None else layer.head_norm(qk))
            mixed = attend(layer, qk.narrow(1, 0, H), qk.narrow(1, H, G), qkv.narrow(1, H + G, G))
            x = layer.output.add(x, mixed.reshape(-1, H * D))
            x = layer.down.add(x, layer.gate_up.gated(layer.post_norm, x, for_gated))
        return x

    def logits(self, x: Tensor) -> Tensor:
        """Hidden states (T, C) of `run` -> (T, V)."""
        return self.head.after(self.norm, x)

    def _rooms(self, x: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Memory for qkv and for what gates let through, used by layer after layer: new memory is slow to touch."""
        if self.loops is None:
            return None, None
        (H, G, D), T = self.heads, len(x)
        return x.new_empty(T, (H + 2 * G) * D), x.new_empty(T, self.intermediate_size)

    def _turning(self, cos: Tensor, sin: Tensor, num_tokens: int) -> Callable[[Tensor], Tensor]:
        """What turns heads (T, H, D) by the angles of a pass."""
        half = self.heads[2] // 2
        if self.loops is not None and self.loops.can_turn(2 * half):
            return self.loops.turning(cos, sin)
        if num_tokens == 1:  # its heads are all turned alike: one small product instead of four operations
            turn = torch.addcmul(self.stay * cos, self.swap, sin).view(1, 2 * half, 2 * half)
            return lambda x: torch.bmm(x, turn)
        return lambda x: torch.addcmul(x * cos, x.roll(half, dims=-1), sin)

    def _take_apart(self, layer: DecoderLayer) -> Layer:
        attention, mlp = layer.attention, layer.mlp
        input_norm, qkv = self._norm_and_linear(layer.input_norm, attention.qkv_proj)
        post_norm, gate_up = self._norm_and_linear(layer.post_norm, mlp.gate_up_proj, gated=True)
        q_norm, k_norm, head_norm = attention.q_norm, attention.k_norm, None
        if q_norm is not None and k_norm is not None:
            H, G, _ = attention.heads
            weight = torch.cat((q_norm.weight.expand(H, -1), k_norm.weight.expand(G, -1)))
            head_norm = _norm(q_norm, weight * math.sqrt(attention.head_dim))
        return Layer(
            number=attention.layer,
            window=attention.window,
            input_norm=input_norm,
            qkv=qkv,
            head_norm=head_norm,
            output=self._linear(attention.o_proj.weight, attention.o_proj.bias),
            post_norm=post_norm,
            gate_up=gate_up,
            down=self._linear(mlp.down_proj.weight, mlp.down_proj.bias),
        )

    def _norm_and_linear(
        self, norm: RMSNorm, linear: nn.Linear | nn.Embedding, gated: bool = False
    ) -> tuple[Norm, Linear]:
        """A norm and the matrix behind it. A matrix that is copied takes the norm's weight along: (x · w) @ M = x @ (w · M)."""
        scale, bias = norm.weight * math.sqrt(norm.weight.numel()), getattr(linear, "bias", None)
        if self.layout == "plain":
            return _norm(norm, scale), self._linear(linear.weight, bias, gated)
        return _norm(norm, None), self._linear(linear.weight * scale, bias, gated)

    def _linear(self, weight: Tensor, bias: Tensor | None, gated: bool = False) -> Linear:
        made = LAYOUTS[self.layout]
        made = GATED.get(self.layout, made) if gated else made
        return made(weight.detach(), None if bias is None else bias.detach())


_made: WeakKeyDictionary[Decoder, dict[str, tuple[list[tuple[int, int]], PlainDecoder]]] = WeakKeyDictionary()


def plain_decoder(model: Decoder, weights: str = "auto") -> PlainDecoder:
    """The model's PlainDecoder, made once: whoever else runs the model has the same copy, until its weights are others."""
    made, now = _made.setdefault(model, {}), [(p.data_ptr(), _version(p)) for p in model.parameters()]
    if weights not in made or made[weights][0] != now:
        made[weights] = now, PlainDecoder(model, weights)
    return made[weights][1]


def layout_of(model: Decoder, weights: str = "auto") -> str:
    """The layout that the model is run on, by its name: what a measurement of it should tell."""
    return plain_decoder(model, weights).layout if PlainDecoder.fits(model) else "plain"


def _version(weight: Tensor) -> int:
    """How many times it was written to, as far as torch counts."""
    return 0 if weight.is_inference() else weight._version


def _norm(norm: RMSNorm, weight: Tensor | None) -> Norm:
    return Norm(weight, math.sqrt(norm.eps * norm.weight.numel()), norm.weight)


def _memory_bytes() -> float:
    try:
        return float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    except (AttributeError, OSError, ValueError):
        return math.inf
