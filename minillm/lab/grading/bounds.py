"""The memory bound of a graded notebook, where the system offers one.

Linux can limit a process that already runs, and counts what it allocates rather than the library address space it maps.
macOS ignores such limits and Windows has none, so there the report says so instead of pretending.
"""

from __future__ import annotations

from typing import Any


def bound_memory(kernel_manager: Any, memory_mb: int) -> str | None:
    """Limit the kernel's data (and that of processes it starts) to `memory_mb` MiB; returns a remark if impossible."""
    pid = getattr(getattr(kernel_manager, "provisioner", None), "pid", None)
    if pid is None:
        return "memory was not bounded: the process is not ours to limit"
    try:
        import resource

        limit = memory_mb * 2**20
        resource.prlimit(pid, resource.RLIMIT_DATA, (limit, limit))
    except (ImportError, AttributeError, OSError, ValueError):
        return "memory was not bounded: this system cannot limit a running process"
    return None
