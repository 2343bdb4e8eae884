"""The ceilings of common accelerators: how fast bytes move and how fast dots multiply, at best.

A kernel is judged against the machine it runs on, so every ceiling names where it is from: a vendor's datasheet, or a
measurement made here and now. Datasheets promise more than any program sees; measured ceilings are what to divide by.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from minillm.errors import unknown_name
from minillm.measure.numbers import require_positive


@dataclass(frozen=True)
class Hardware:
    """One machine's ceilings: bytes of memory, bytes/s, and dense FLOP/s of matrix products by dtype, with their source.

    Datasheet gigabytes are taken as 10**9 bytes. "tf32" is float32 data through the tensor cores; "float32" is not.
    Raises InvalidValue for a ceiling that is not above zero.
    """

    name: str
    memory_bytes: int
    bandwidth_bytes_per_s: float
    matmul_flops_per_s: Mapping[str, float]
    source: str

    def __post_init__(self) -> None:
        require_positive(memory_bytes=self.memory_bytes, bandwidth_bytes_per_s=self.bandwidth_bytes_per_s)
        require_positive(**self.matmul_flops_per_s)

    def rate(self, dtype: str) -> float:
        """FLOP/s of matrix products in `dtype`; raises InvalidValue, listing what is known, for another."""
        if dtype not in self.matmul_flops_per_s:
            raise unknown_name(f"dtype of {self.name}", dtype, self.matmul_flops_per_s)
        return self.matmul_flops_per_s[dtype]

    def ridge_point(self, dtype: str) -> float:
        """FLOPs per byte above which a kernel in `dtype` is limited by multiplying rather than by memory."""
        return self.rate(dtype) / self.bandwidth_bytes_per_s

    def __str__(self) -> str:
        rates = ", ".join(f"{dtype} {rate / 1e12:,.3g}" for dtype, rate in self.matmul_flops_per_s.items())
        return (
            f"{self.name}: {self.memory_bytes / 1e9:.0f} GB, {self.bandwidth_bytes_per_s / 1e12:.3g} TB/s, "
            f"TFLOP/s dense: {rates} ({self.source})"
        )


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
