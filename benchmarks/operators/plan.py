"""What is measured, as plain data: each case names an operator, a shape, a dtype and who takes part.

Cases stand in order of interest, so a run that comes to its end early has measured what matters most. On a GPU every batch
holds 16,384 tokens, so that a long sequence and many short ones are the same amount of input.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

TOKENS = 16_384
LENGTHS = (512, 1024, 2048, 4096, 8192, 16_384)
QUICK_LENGTHS = (1024, 8192)
HEADS = ((32, 32), (32, 8))  # query heads, key/value heads
MATMULS = ("triton naive", "triton grouped", "triton persistent", "torch")
# FlexAttention is compiled anew for every shape, at several seconds each: by head width, the lengths that are worth it.
FLEX_LENGTHS = {64: (4096,), 128: (1024, 4096, 16_384), 256: (4096,)}
QUICK_FLEX_LENGTHS = {128: (8192,)}
ATTENTIONS = ("triton", "torch flash", "torch cudnn", "torch efficient")
# The batch and the length that decoding's numbers are asked for, and one text so long that it must be cut to fill a GPU.
DECODE, LONE_DECODE = (32, 8192), (1, 32_768)
DECODERS = ("triton", "torch gqa", "torch rows")
SPLITS = (1, 2, 4, 8, 16, 32, 64, 128)
BLOCK_SIZES = (64, 16, 256)
PAGED = ("triton", "triton contiguous", "torch varlen", "torch gather")


@dataclass(frozen=True)
class Case:
    """One operator at one shape: sizes by the workbook's letters, options of the call, contestants by name.

    `torch …` contestants are the library's calls, all others ours.
    """

    operator: str
    shape: Mapping[str, int]
    dtype: str
    contestants: tuple[str, ...]
    options: Mapping[str, bool | str] = field(default_factory=dict)

    def __str__(self) -> str:
        sizes = " ".join(f"{letter} {size}" for letter, size in self.shape.items())
        words = [name if value is True else str(value) for name, value in self.options.items() if value is not False]
        return " ".join([self.operator, sizes, self.dtype, *words])

    @property
    def causal(self) -> bool:
        return self.options.get("causal") is True


def attention_shape(batch: int, length: int, heads: tuple[int, int], head_dim: int) -> dict[str, int]:
    """B, L = S, (H, G), D -> the shape of self-attention."""
    return {"B": batch, "L": length, "S": length, "H": heads[0], "G": heads[1], "D": head_dim}


def gpu_plan(quick: bool = False) -> list[Case]:
    """Everything a GPU is asked; with `quick`, what the first look needs: two lengths, one product, one of each the rest."""
    lengths = QUICK_LENGTHS if quick else LENGTHS
    cases = [*_matmuls(quick), *_softmaxes(quick), *_decodes(quick), *_paged(quick), *_writes(quick)]
    for head_dim in (128, 64):
        cases += _forward(head_dim, lengths, quick)
        if head_dim == 128 or not quick:
            cases += [*_backward(head_dim, quick), *_varlen(head_dim, quick)]
    return [*cases, *_forward(256, lengths, quick), *_decode_sweeps(quick)]


def _matmuls(quick: bool) -> Iterator[Case]:
    sizes = [(8192, 8192, 8192), (8192, 8192, 512), (4096, 4096, 4096), (1024, 1024, 1024), (8192, 28672, 8192)]
    for M, N, K in sizes[: 1 if quick else None]:
        yield Case("matmul", {"M": M, "N": N, "K": K}, "bfloat16", MATMULS)


def _softmaxes(quick: bool) -> Iterator[Case]:
    sizes = [(16_384, 8192), (16_384, 1024), (4096, 32_768), (256, 128_256)]
    for rows, width in sizes[: 1 if quick else None]:
        for dtype in ("bfloat16",) if quick else ("bfloat16", "float32"):
            yield Case("softmax", {"M": rows, "N": width}, dtype, ("triton", "triton online", "torch"))


def _forward(head_dim: int, lengths: tuple[int, ...], quick: bool) -> Iterator[Case]:
    flex_lengths = QUICK_FLEX_LENGTHS if quick else FLEX_LENGTHS
    for causal in (True, False):
        for heads in HEADS:
            for length in reversed(lengths):
                flex = heads == HEADS[0] and length in flex_lengths.get(head_dim, ())
                yield Case(
                    "attention", attention_shape(TOKENS // length, length, heads, head_dim), "bfloat16",
                    ATTENTIONS + (("torch flex",) if flex else ()), {"causal": causal},
                )  # fmt: skip


def _varlen(head_dim: int, quick: bool) -> Iterator[Case]:
    for lengths in ("equal",) if quick else ("equal", "uneven"):
        for causal in (True,) if quick else (True, False):
            shape = {"B": 8, "T": TOKENS, "H": 32, "G": 32, "D": head_dim}
            options = {"causal": causal, "lengths": lengths}
            yield Case("attention_varlen", shape, "bfloat16", ("triton", "torch varlen"), options)


def _backward(head_dim: int, quick: bool) -> Iterator[Case]:
    for causal in (True,) if quick else (True, False):
        for heads in HEADS[:1] if quick or head_dim == 64 else HEADS:
            for length in (8192,) if quick else (8192, 2048):
                shape = attention_shape(TOKENS // length, length, heads, head_dim)
                yield Case("attention_backward", shape, "bfloat16", ATTENTIONS, {"causal": causal})


def decode_shape(batch: int, length: int, kv_heads: int = 8, head_dim: int = 128) -> dict[str, int]:
    """B, S, G, D -> the shape of one new token for each of B texts, with 32 query heads."""
    return {"B": batch, "S": length, "H": 32, "G": kv_heads, "D": head_dim}


def _decodes(quick: bool) -> Iterator[Case]:
    """The two sizes that targets are set for; then heads shared by all, by groups and by none, as two kernels see them."""
    rivals = (
        "torch gqa flash",
        "torch gqa cudnn",
        "torch rows flash",
        "torch rows cudnn",
        "torch varlen",
        "torch flex",
    )
    yield Case("flash_decode", decode_shape(*DECODE), "bfloat16", (*DECODERS, *rivals, "triton per head"))
    yield Case("flash_decode", decode_shape(*LONE_DECODE), "bfloat16", (*DECODERS, *rivals))
    for kv_heads in () if quick else (32, 1):
        yield Case("flash_decode", decode_shape(*DECODE, kv_heads), "bfloat16", (*DECODERS, "triton per head"))


def _paged(quick: bool) -> Iterator[Case]:
    """Decoding out of blocks of several sizes, one in 8 bits; then prompts whole, and the last part of a long one."""
    for block_size in BLOCK_SIZES[: 2 if quick else None]:
        yield _paged_case("paged_decode", *DECODE, 1, block_size)
    if not quick:
        yield _paged_case("paged_decode", *LONE_DECODE, 1, 64)
        yield _paged_case("paged_decode", *DECODE, 1, 64, ("triton", "torch gather"), {"cache": "int8"})
    for batch, queries, length in ((4, 4096, 4096), (4, 512, 8192))[: 1 if quick else None]:
        for block_size in BLOCK_SIZES[: 1 if quick else None]:
            yield _paged_case("paged_prefill", batch, length, queries, block_size)


def _paged_case(
    operator: str, batch: int, length: int, queries: int, block_size: int, contestants: tuple[str, ...] = PAGED,
    options: Mapping[str, bool | str] | None = None,
) -> Case:  # fmt: skip
    shape = decode_shape(batch, length) | {"L": queries, "P": block_size}
    return Case(operator, shape, "bfloat16", contestants, options or {})


def _writes(quick: bool) -> Iterator[Case]:
    for block_size in BLOCK_SIZES[: 1 if quick else 2]:
        shape = {"T": TOKENS, "G": 8, "D": 128, "P": block_size}
        fused = ("triton", "triton in two", "torch", "torch compiled")
        yield Case("rotary_write", {"H": 32} | shape, "bfloat16", fused)
        yield Case("kv_write", shape, "bfloat16", ("triton", "torch"))


def _decode_sweeps(quick: bool) -> Iterator[Case]:
    """One text: every number of runs at one length, and every length; then many texts of uneven lengths, and other widths."""
    if quick:
        return
    runs = tuple(f"triton {splits} splits" for splits in SPLITS)
    for length in (LONE_DECODE[1], 4096, 131_072):
        yield Case(
            "flash_decode", decode_shape(1, length), "bfloat16", (*runs, "triton", "torch gqa"), {"sweep": "splits"}
        )
    for length in (512, 1024, 2048, 8192, 16_384, 65_536):
        yield Case("flash_decode", decode_shape(1, length), "bfloat16", DECODERS)
    for batch, head_dim in ((32, 128), (32, 64), (8, 128), (256, 128)):
        lengths = {"lengths": "uneven"} if (batch, head_dim) == (32, 128) else {}
        length = DECODE[1] * DECODE[0] // max(batch, 32)
        yield Case("flash_decode", decode_shape(batch, length, 8, head_dim), "bfloat16", DECODERS, lengths)
    yield _paged_case(
        "paged_decode", *DECODE, 1, 16, ("triton", "triton contiguous", "torch gather"), {"lengths": "uneven"}
    )


def cpu_plan(quick: bool = False) -> list[Case]:
    """What a processor can honestly be asked in seconds: attention in torch, small. Interpreted kernels are named, not timed."""
    everyone = ("naive", "tiled", "sdpa", "triton", "torch")
    decoders = ("naive", "sdpa", "triton", "torch")  # one query leaves the tiled loops nothing to share
    cases = [
        Case("attention", attention_shape(1, length, (8, groups), 64), dtype, everyone, {"causal": True})
        for length, dtype in ((128, "float32"), (512, "float32"), (512, "bfloat16"))[: 1 if quick else None]
        for groups in (8, 2)
    ]
    for length in () if quick else (512, 2048):
        shape = {"B": 8, "L": 1, "S": length, "H": 8, "G": 2, "D": 64}
        cases.append(Case("attention", shape, "float32", decoders, {"causal": True}))
    cases += _cpu_caches(quick)
    cases.append(Case("softmax", {"M": 1024, "N": 1000}, "float32", ("triton", "triton online", "torch")))
    cases.append(Case("matmul", {"M": 512, "N": 512, "K": 512}, "float32", MATMULS))
    return cases


def _cpu_caches(quick: bool) -> Iterator[Case]:
    """A decode step of eight texts out of a slab and out of blocks; the rest of a prompt; and what a prompt writes."""
    shape = {"B": 8, "S": 2048, "H": 8, "G": 2, "D": 64}
    paged = ("sdpa", "triton", "torch gather")
    yield Case("flash_decode", shape, "float32", DECODERS)
    for block_size in (16,) if quick else (16, 64):
        yield Case("paged_decode", shape | {"L": 1, "P": block_size}, "float32", paged)
    if not quick:
        yield Case("paged_decode", shape | {"L": 1, "P": 16}, "float32", paged, {"lengths": "uneven"})
        yield Case("paged_prefill", shape | {"B": 2, "L": 256, "S": 1024, "P": 16}, "float32", paged)
    written = {"T": 4096, "G": 2, "D": 64, "P": 16}
    yield Case("kv_write", written, "float32", ("triton", "torch"))
    yield Case("rotary_write", {"H": 8} | written, "float32", ("triton", "torch"))
