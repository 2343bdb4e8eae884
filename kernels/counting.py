"""Count what a launch moves where it cannot be counted: on a GPU, compiled code keeps no tally.

The same launch is interpreted in a child process, on copies of its arguments in the CPU's memory, and what the
interpreter counts there is charged here. One process cannot do both, since Triton decides between compiling and
interpreting when it is imported.
"""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minillm.errors import Unsupported, rule_numbers_remedy
from minillm.kernels.compiling import child_environment
from minillm.kernels.shipping import Parcel, pack
from minillm.measure.counters import charge

if TYPE_CHECKING:
    import torch

    from minillm.kernels.runtime import Launch

# The interpreter's switch, and no GPU to be tempted by.
INTERPRETING = {"TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": ""}


def count_elsewhere(launch: Launch, *, timeout_s: float = 900.0) -> None:
    """Interpret one launch in a child process and charge its bytes and FLOPs to the counts open here.

    The launch's own tensors are read and not written. Raises Unsupported when the child fails or takes too long.
    """
    from torch.utils._python_dispatch import _disable_current_modes

    with _disable_current_modes():  # copying the arguments is no traffic of the kernel's
        copies = _Copies()
        parcel = pack(launch.kernel, launch.args, launch.constants, copies.of)
        counted = _count_in_child(parcel, launch.grid, timeout_s)
    charge(**counted)


class _Copies:
    """Tensors in the CPU's memory with the strides and offsets of the originals, each storage copied once."""

    def __init__(self) -> None:
        self.storages: dict[int, torch.UntypedStorage] = {}

    def of(self, tensor: torch.Tensor) -> torch.Tensor:
        import torch

        storage = tensor.untyped_storage()
        key = storage.data_ptr()
        if key not in self.storages:
            self.storages[key] = storage.cpu()
        copy = torch.empty(0, dtype=tensor.dtype)
        return copy.set_(self.storages[key], tensor.storage_offset(), tensor.shape, tensor.stride())


def _count_in_child(parcel: Parcel, grid: tuple[int, ...], timeout_s: float) -> dict[str, int]:
    with tempfile.TemporaryDirectory(prefix="minillm-count-") as name:
        folder = Path(name)
        (folder / "launch.pickle").write_bytes(pickle.dumps((parcel, grid)))
        command = [sys.executable, "-P", "-m", __name__, name]
        try:
            child = subprocess.run(
                command,
                cwd=folder,
                env=child_environment(folder) | INTERPRETING,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=timeout_s,
                check=False,
            )
        except subprocess.TimeoutExpired:
            raise Unsupported(_refusal(parcel, f"{timeout_s:g} s without an end", "count a smaller shape")) from None
        if child.returncode:
            said = (child.stderr.strip().splitlines() or [f"status {child.returncode}"])[-1]
            raise Unsupported(_refusal(parcel, said, "count backend='tiled', the same loops in torch"))
        return json.loads((folder / "counted.json").read_text(encoding="utf-8"))


def _refusal(parcel: Parcel, what: str, remedy: str) -> str:
    rule = f"counting {parcel.entry.name} takes interpreting it in another process"
    return rule_numbers_remedy(rule, what, remedy)


def main(folder: Path) -> None:
    """The child: interpret the launch that lies in `folder`, and leave its counters there."""
    from minillm.kernels.interpreter import mend
    from minillm.measure import count

    mend()
    parcel, grid = pickle.loads((folder / "launch.pickle").read_bytes())
    kernel, args, constants = parcel.open()
    with count() as counted:
        kernel[grid](*args, **constants)
    numbers: dict[str, Any] = {
        "bytes_loaded": counted.bytes_loaded,
        "bytes_stored": counted.bytes_stored,
        "flops": counted.flops,
    }
    (folder / "counted.json").write_text(json.dumps(numbers), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
