"""The process that compiles: reads packed kernels from a folder, writes what became of each beside it.

Compiling wants Triton in its compiling form, and a GPU's name without a GPU; interpreting in the notebook's own process
wants the opposite. So kernels are compiled here, in a child process, which may also crash or hang without harm.
"""

from __future__ import annotations

import contextlib
import io
import json
import pickle
import subprocess
import sys
import time
import types
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from minillm.kernels.shipping import Parcel

TEXT_STAGES = ("ttir", "ttgir", "llir", "ptx", "amdgcn")
ERROR_LINES = 14


@dataclass(frozen=True)
class TensorFacts:
    """All that a compiler learns from a tensor: its dtype, its address modulo 16, the bytes of its storage."""

    dtype: str
    address: int
    storage_bytes: int

    def data_ptr(self) -> int:
        return self.address

    def ptr_range(self) -> int:
        return self.storage_bytes


@dataclass(frozen=True)
class Job:
    """One kernel to compile: what, for which GPU, and how. `aligned` off withholds every divisibility by 16."""

    parcel: Parcel
    target: str
    options: dict[str, Any]
    aligned: bool = True


class StandInDriver:
    """What Triton asks a driver while it compiles: only which GPU this is."""

    def __init__(self, target: Any) -> None:
        self.target = target

    def get_current_target(self) -> Any:
        return self.target

    def get_current_device(self) -> str:
        return repr(self.target)

    def get_current_stream(self, device: Any = None) -> int:
        return 0


def gpu_target(name: str) -> Any:
    """ "sm_90" -> GPUTarget("cuda", 90, 32); "gfx942" -> GPUTarget("hip", "gfx942", 64)."""
    from triton.backends.compiler import GPUTarget

    if name.startswith("sm_"):
        return GPUTarget("cuda", int(name.removeprefix("sm_")), 32)
    return GPUTarget("hip", name, 64 if name.startswith("gfx9") else 32)


def start_lightly() -> None:
    """Spare the child two things that compiling does not need, which take longer than most kernels.

    Triton imports torch only to recognise its tensors, and reads itself whole to name what it caches; nothing is cached
    here. Without these the child still works.
    """
    import triton.runtime.cache

    if "torch" not in sys.modules:
        stand_in = types.ModuleType("torch")
        stand_in.Tensor = TensorFacts  # type: ignore[attr-defined]
        sys.modules["torch"] = stand_in
    if hasattr(triton.runtime.cache, "triton_key"):
        triton.runtime.cache.triton_key = lambda: triton.__version__


def needs_torch(parcel: Parcel) -> bool:
    """Whether a function of the parcel leans on modules that may import torch."""
    named = (r for function in parcel.functions for r in function.names.values())
    imported = [r.value if r.kind == "module" else r.value[0] for r in named if r.kind in ("module", "import")]
    return any(module.split(".")[0] not in ("triton", "math") for module in imported)


def compile_job(job: Job) -> dict[str, Any]:
    """Compile, and return every stage as text with what the assembler said about resources."""
    import triton
    from triton.runtime import driver

    target = gpu_target(job.target)
    driver.set_active(StandInDriver(target))
    kernel, args, constants = job.parcel.open()
    while not hasattr(kernel, "params"):  # an autotuner or heuristics around the kernel
        kernel = kernel.fn
    if not job.aligned:
        for parameter in kernel.params:
            parameter.do_not_specialize_on_alignment = not parameter.is_constexpr
    log, start = io.StringIO(), time.perf_counter()
    with contextlib.redirect_stdout(log):
        compiled = kernel.warmup(*args, grid=(1,), **constants, **job.options)
    seconds = time.perf_counter() - start
    stages = {name: compiled.asm[name] for name in TEXT_STAGES if name in compiled.asm}
    if "cubin" in compiled.asm:
        stages["sass"] = disassemble(compiled.asm["cubin"])
    return {
        "ok": True,
        "name": compiled.metadata.name,
        "stages": stages,
        "assembler_log": log.getvalue(),
        "shared_bytes": compiled.metadata.shared,
        "tensor_memory_columns": getattr(compiled.metadata, "tmem_size", None) or 0,
        "seconds": round(seconds, 3),
        "triton": triton.__version__,
    }


def disassemble(cubin: bytes) -> str:
    """cubin -> SASS with the source line above each instruction, by the nvdisasm that Triton brings along.

    Triton's own `asm["sass"]` silently stops after 4096 instructions before 3.8.
    """
    import triton.backends.nvidia

    tool = Path(triton.backends.nvidia.__file__).parent / "bin" / "nvdisasm"
    file = Path("kernel.cubin")
    file.write_bytes(cubin)
    command = [str(tool), "--print-code", "--print-line-info-inline", str(file)]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


def explain(problem: BaseException, diagnostics: str) -> str:
    """The last lines of a compiler's complaint that mean something to who wrote the kernel."""
    lines = [line.rstrip() for line in str(problem).splitlines() if line.strip()]
    lines = lines or [type(problem).__name__]
    said = " ".join(lines)
    chain: BaseException | None = problem.__cause__
    while chain is not None:
        if str(chain) and str(chain) not in said:
            lines.append(f"{type(chain).__name__}: {chain}")
        chain = chain.__cause__
    notes = [line.strip()[:300] for line in diagnostics.splitlines() if "error:" in line.lower()]
    return "\n".join(lines[-ERROR_LINES:] + list(dict.fromkeys(notes))[-3:])


@contextlib.contextmanager
def new_diagnostics() -> Iterator[list[str]]:
    """Collects what lands on standard error, a file here: MLIR and LLVM write there without asking Python."""
    found: list[str] = []
    file = Path("stderr")
    start = file.stat().st_size if file.exists() else 0
    try:
        yield found
    finally:
        sys.stderr.flush()
        if file.exists():
            found.append(file.read_bytes()[start:].decode("utf-8", "replace"))


def attempt(path: Path) -> dict[str, Any]:
    """Compile the job in this file; the answer says what became of it, and is made of what JSON can hold."""
    diagnostics: list[str] = []
    try:
        with new_diagnostics() as diagnostics:
            job = pickle.loads(path.read_bytes())
            if needs_torch(job.parcel):
                sys.modules.pop("torch", None)
            else:
                start_lightly()
            return compile_job(job)
    except Exception as problem:
        return {"ok": False, "error": explain(problem, "".join(diagnostics))}


def main(numbers: list[str]) -> None:
    """Compile the jobs `<number>.pickle` of the working folder, in order; each answer appears whole or not at all."""
    for number in numbers:
        answer = json.dumps(attempt(Path(f"{number}.pickle")))
        partial = Path(f"{number}.partial")
        partial.write_text(answer, encoding="utf-8")
        partial.rename(f"{number}.json")


if __name__ == "__main__":
    main(sys.argv[1:])
