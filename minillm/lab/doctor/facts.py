"""What this machine is: versions, processor, memory, threads, GPU. Reading it never fails; what cannot be read says so."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import platform
from collections.abc import Callable
from pathlib import Path

from minillm.lab.formatting import format_bytes

PACKAGES = ("torch", "triton", "numpy", "tokenizers", "safetensors", "ipywidgets", "matplotlib", "jupyterlab")


def version(package: str) -> str | None:
    """The installed version of a distribution, without importing it; None when it is absent."""
    try:
        return importlib.metadata.version(package) if importlib.util.find_spec(package) else None
    except (ImportError, ValueError):  # no metadata, or a module blanked out on purpose
        return None


def versions() -> dict[str, str]:
    """Python, minillm and the packages it stands on, in a fixed order; "not installed" where one is missing."""
    import minillm

    found = {"python": platform.python_version(), "minillm": minillm.__version__}
    return found | {package: version(package) or "not installed" for package in PACKAGES}


def machine() -> dict[str, str]:
    """System, processor, cores, memory, threads and GPU, each as a short phrase."""
    readers: dict[str, Callable[[], str]] = {
        "system": lambda: f"{platform.system()} {platform.release()} ({platform.machine()})",
        "processor": _processor,
        "cores": lambda: f"{usable_cores()} usable",
        "memory": lambda: _optional_bytes(memory_limit()),
        "threads": _torch_threads,
        "GPU": _gpu,
        "C compiler": _compiler,
        "bundled model": _bundled_model,
    }
    return {name: attempt(read) for name, read in readers.items()}


def attempt(read: Callable[[], str]) -> str:
    """What `read` says, or why it could not: a doctor does not fall ill with the patient."""
    try:
        return read()
    except Exception as error:
        return f"could not be read ({type(error).__name__}: {error})"


def usable_cores() -> int:
    """Cores this process may run on; fewer than the machine has, inside a container."""
    affinity = getattr(os, "sched_getaffinity", None)
    return len(affinity(0)) if affinity else os.cpu_count() or 1


def memory_limit() -> int | None:
    """Bytes of memory this process may use: the machine's, or its container's limit where that is lower. None if unknown."""
    if not hasattr(os, "sysconf") or "SC_PHYS_PAGES" not in os.sysconf_names:
        return None
    physical = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    limit = Path("/sys/fs/cgroup/memory.max")
    text = limit.read_text().strip() if limit.is_file() else "max"
    return min(physical, int(text)) if text.isdigit() else physical


def _optional_bytes(count: int | None) -> str:
    return "unknown" if count is None else format_bytes(count)


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.is_file() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def _torch_threads() -> str:
    import torch

    return f"{torch.get_num_threads()} used by torch"


def _gpu() -> str:
    import torch

    if torch.cuda.is_available():
        properties = torch.cuda.get_device_properties(0)
        return f"{properties.name}, {format_bytes(properties.total_memory)}"
    if torch.backends.mps.is_available():
        return "Apple GPU (torch can use it; Triton cannot)"
    return "none that torch can use"


def _compiler() -> str:
    from minillm.serving.compute.packed_linear import runs, uses_all_threads

    if not runs("compiled"):
        return "none that builds the engine's loops, so it computes by torch alone"
    return "builds the engine's loops" if uses_all_threads("compiled") else "builds the engine's loops, without threads"


def _bundled_model() -> str:
    from minillm import model

    weights = Path(str(model.__file__)).parent / "bundled" / "tiny" / "model.safetensors"
    return f"tiny, {format_bytes(weights.stat().st_size)}" if weights.is_file() else "missing; reinstall minillm"
