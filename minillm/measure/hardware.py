"""The ceilings of common accelerators: how fast bytes move and how fast dots multiply, at best.

A kernel is judged against the machine it runs on, so every ceiling names where it is from: a vendor's datasheet, or a
measurement made here and now. Datasheets promise more than any program sees; measured ceilings are what to divide by.
"""

from __future__ import annotations

import importlib.metadata
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from minillm.errors import unknown_name
from minillm.measure.numbers import require_positive


@dataclass(frozen=True)
class Hardware:
    """One machine's ceilings: bytes of memory, bytes/s, and dense FLOP/s of matrix products by dtype, with their source.

    `memory_bytes` is None where the system does not tell.
    Datasheet gigabytes are taken as 10**9 bytes. "tf32" is float32 data through the tensor cores; "float32" is not.
    Raises InvalidValue for a ceiling that is not above zero.
    """

    name: str
    memory_bytes: int | None
    bandwidth_bytes_per_s: float
    matmul_flops_per_s: Mapping[str, float]
    source: str

    def __post_init__(self) -> None:
        if self.memory_bytes is not None:
            require_positive(memory_bytes=self.memory_bytes)
        require_positive(bandwidth_bytes_per_s=self.bandwidth_bytes_per_s, **self.matmul_flops_per_s)

    def rate(self, dtype: str) -> float:
        """FLOP/s of matrix products in `dtype`; raises InvalidValue, listing what is known, for another."""
        if dtype not in self.matmul_flops_per_s:
            raise unknown_name(f"dtype of {self.name}", dtype, self.matmul_flops_per_s)
        return self.matmul_flops_per_s[dtype]

    def ridge_point(self, dtype: str) -> float:
        """FLOPs per byte above which a kernel in `dtype` is limited by multiplying rather than by memory."""
        return self.rate(dtype) / self.bandwidth_bytes_per_s

    def __str__(self) -> str:
        rates = ", ".join(f"{dtype} {_short(rate / 1e12)}" for dtype, rate in self.matmul_flops_per_s.items())
        memory = "unknown memory" if self.memory_bytes is None else f"{self.memory_bytes / 1e9:.0f} GB"
        speed = f"{_short(self.bandwidth_bytes_per_s / 1e9)} GB/s"
        return f"{self.name}: {memory}, {speed}, dense TFLOP/s: {rates} ({self.source})"


def _short(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _row(name: str, gigabytes: int, gigabytes_per_s: float, source: str, **teraflops: float) -> Hardware:
    rates = {dtype: rate * 1e12 for dtype, rate in teraflops.items()}
    return Hardware(name, gigabytes * 10**9, gigabytes_per_s * 1e9, rates, source)


def _half(teraflops: float) -> dict[str, float]:
    return {"bfloat16": teraflops, "float16": teraflops}


_AMPERE = "NVIDIA A100 Tensor Core GPU datasheet"
_HOPPER = "NVIDIA H100 Tensor Core GPU datasheet, halved where it prints sparse rates"
_GEFORCE = "GPU architecture whitepaper, float32 accumulation, dense"

_TABLE = (
    _row("T4", 16, 320, "NVIDIA T4 datasheet", float16=65, float32=8.1),
    _row("A100-40GB", 40, 1555, f"{_AMPERE} (40 GB)", **_half(312), tf32=156, float32=19.5),
    _row("A100-80GB-PCIe", 80, 1935, _AMPERE, **_half(312), tf32=156, float32=19.5),
    _row("A100-80GB-SXM", 80, 2039, _AMPERE, **_half(312), tf32=156, float32=19.5),
    _row("H100-PCIe", 80, 2000, _HOPPER, **_half(756.5), float8=1513, tf32=378, float32=51),
    _row("H100-SXM", 80, 3350, _HOPPER, **_half(989.5), float8=1979, tf32=494.5, float32=67),
    _row("H200-SXM", 141, 4800, _HOPPER.replace("H100", "H200"), **_half(989.5), float8=1979, tf32=494.5, float32=67),
    _row("B200", 180, 8000, "NVIDIA HGX B200 datasheet, one of eight GPUs, dense", **_half(2250), float8=4500),
    _row("L4", 24, 300, "NVIDIA L4 datasheet, halved where it prints sparse rates", **_half(121), float32=30.3),
    _row("L40S", 48, 864, "NVIDIA L40S datasheet, dense", **_half(362.05), float8=733, tf32=183, float32=91.6),
    _row("RTX 3090", 24, 936, f"NVIDIA Ampere GA102 {_GEFORCE}", **_half(71), tf32=35.6, float32=35.6),
    _row("RTX 4090", 24, 1008, f"NVIDIA Ada {_GEFORCE}", **_half(165.2), tf32=82.6, float32=82.6),
    _row("RTX 5090", 32, 1792, f"NVIDIA RTX Blackwell {_GEFORCE}", **_half(209.5), tf32=104.8, float32=104.8),
    _row("MI300X", 192, 5300, "AMD Instinct MI300X data sheet", **_half(1307.4), float8=2614.9, float32=163.4),
)

KNOWN_HARDWARE: dict[str, Hardware] = {hardware.name: hardware for hardware in _TABLE}


def lookup(name: str) -> Hardware:
    """Name, in any case and spacing -> Hardware of `KNOWN_HARDWARE`; raises InvalidValue with the nearest name."""
    plain = {_plain(known): hardware for known, hardware in KNOWN_HARDWARE.items()}
    if _plain(name) not in plain:
        raise unknown_name("hardware", name, KNOWN_HARDWARE)
    return plain[_plain(name)]


def _plain(name: str) -> str:
    return "".join(letter for letter in str(name).lower() if letter.isalnum())


@dataclass(frozen=True)
class Machine:
    """Facts about this machine, fit to be published: no host name, no user, no path. Bytes where it says bytes."""

    device: str
    driver: str | None
    system: str
    processor: str
    cores: int
    memory_bytes: int | None
    torch_threads: int
    versions: Mapping[str, str]

    def __str__(self) -> str:
        memory = "unknown memory" if self.memory_bytes is None else f"{self.memory_bytes / 1e9:.0f} GB"
        versions = ", ".join(f"{name} {version}" for name, version in self.versions.items())
        return (
            f"{self.device} (driver {self.driver or 'none'}); {self.processor}, {self.cores} cores, {memory}, "
            f"{self.system}; torch uses {self.torch_threads} threads; {versions}"
        )


def describe_this_machine() -> Machine:
    """Processor, cores, memory in bytes, accelerator and versions of this machine; imports torch, measures nothing."""
    import torch

    on_gpu = torch.cuda.is_available()
    return Machine(
        device=torch.cuda.get_device_name() if on_gpu else _processor(),
        driver=_driver() if on_gpu else None,
        system=f"{platform.system()} {platform.machine()}",
        processor=_processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        memory_bytes=_memory_bytes(),
        torch_threads=torch.get_num_threads(),
        versions={"python": platform.python_version()} | _installed("torch", "triton", "numpy"),
    )


def measure_this_machine(
    device: str | None = None, *, dtypes: Sequence[str] = ("float32", "bfloat16"), min_seconds: float = 0.3
) -> Hardware:
    """Ceilings of a torch device, measured now: bytes/s of a copy, both directions counted, and FLOP/s of a matmul.

    About `min_seconds` for the copy and for each dtype. On a CPU it measures what torch's present threads reach.
    """
    import torch

    from minillm.measure.bench import time_call

    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    on_cpu = torch.device(device).type == "cpu"
    # Larger than a server processor's cache (256 MiB), and random, because multiplying zeros draws less power and runs faster than anything real.
    source = torch.rand(2**26 if on_cpu else 2**28, device=device)
    target = torch.empty_like(source)
    copy = time_call(lambda: target.copy_(source), min_seconds=min_seconds)
    width = 512 if on_cpu else 8192
    rates = {}
    for dtype in dtypes:
        left, right = (torch.randn(width, width, device=device).to(getattr(torch, dtype)) for _ in range(2))
        rates[dtype] = 2 * width**3 / time_call(_product(left, right), min_seconds=min_seconds).p50
    machine = describe_this_machine()
    return Hardware(
        name=machine.processor if on_cpu else torch.cuda.get_device_name(device),
        memory_bytes=_memory_bytes() if on_cpu else torch.cuda.get_device_properties(device).total_memory,
        bandwidth_bytes_per_s=2 * source.nbytes / copy.p50,
        matmul_flops_per_s=rates,
        source=f"measured here: copy of {source.nbytes >> 20} MiB, matmul of {width}³",
    )


def _product(left, right) -> Callable[[], object]:
    return lambda: left @ right


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine() or "unknown processor"


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _driver() -> str | None:
    if not (tool := shutil.which("nvidia-smi")):
        return None
    query = [tool, "--query-gpu=driver_version", "--format=csv,noheader"]
    try:
        answer = subprocess.run(query, capture_output=True, text=True, timeout=10, check=True).stdout.split()
    except (OSError, subprocess.SubprocessError):  # no answer is no version; what it prints then is an apology
        return None
    return answer[0] if answer else None


def _installed(*names: str) -> dict[str, str]:
    found = {}
    for name in names:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
