"""Compile any kernel for any GPU without having one, and see what became of it.

Triton brings its own compiler and assembler, and neither needs a GPU: only running does. So the intermediate forms of a
kernel, its registers, spills and shared memory can be looked at anywhere, and a choice of tiles can be ruled out before
it ever runs. Compiling happens in a child process, so that kernels go on being interpreted in this one.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from typing import Any

from minillm.errors import InvalidValue, MinillmError, Unsupported
from minillm.kernels.compile_child import Job, TensorFacts
from minillm.kernels.compiling import answer_all
from minillm.kernels.occupancy import ARCHITECTURES, TARGETS, architecture_of
from minillm.kernels.report import Report, make_report
from minillm.kernels.runtime import mode, rehearse
from minillm.kernels.shipping import pack

__all__ = [
    "ARCHITECTURES",
    "TARGETS",
    "Job",
    "Report",
    "all_or_raise",
    "call_jobs",
    "compile_call",
    "compile_kernel",
    "compile_many",
    "kernel_job",
]

QUIET_SECONDS = 2.0


def compile_call(
    function: Callable[..., Any], *args: Any, target: str, aligned: bool = True, **kwargs: Any
) -> list[Report]:
    """Compile what `function(*args, **kwargs)` would launch on a `target` GPU: one Report a launch, in order.

    Nothing runs, so tensors may lie on "meta" and have any size. Raises what the function raises, InvalidValue for an
    unknown target or a kernel that does not compile, Unsupported without Triton.
    """
    return all_or_raise(call_jobs(function, *args, target=target, aligned=aligned, **kwargs))


def compile_kernel(
    kernel: Any,
    *args: Any,
    target: str,
    num_warps: int = 4,
    num_stages: int = 2,
    aligned: bool = True,
    **constants: Any,
) -> Report:
    """Compile a `@triton.jit` kernel, yours or ours, for `target` with example arguments: a launch without the grid.

    Tensors may lie anywhere, "meta" included; only dtypes and alignment are looked at. Integers are specialised as Triton
    does (1, and multiples of 16); `aligned=False` withholds every multiple-of-16 fact, of pointers and integers alike.
    Raises InvalidValue for an unknown target or a kernel that does not compile, Unsupported without Triton.
    """
    job = kernel_job(
        kernel, *args, target=target, num_warps=num_warps, num_stages=num_stages, aligned=aligned, **constants
    )
    return all_or_raise([job])[0]


def compile_many(jobs: Sequence[Job], *, processes: int = 1) -> list[Report | MinillmError]:
    """Compile many at once, in `processes` child processes: for each job its Report, or the error that it deserves.

    Answers are kept on disk, so what was compiled before costs nothing. On a terminal, progress shows after a while.
    """
    require_triton()
    answers = answer_all(jobs, processes=processes, report=_progress())
    return [
        make_report(job, answer) if answer["ok"] else InvalidValue(_refusal(job, answer["error"]))
        for job, answer in zip(jobs, answers, strict=True)
    ]


def call_jobs(function: Callable[..., Any], *args: Any, target: str, aligned: bool = True, **kwargs: Any) -> list[Job]:
    """The jobs of `compile_call`, for `compile_many`."""
    require_triton()
    architecture_of(target)
    with rehearse(target) as launches:
        function(*args, **kwargs)
    return [
        Job(
            pack(launch.kernel, launch.args, launch.constants, tensor_facts),
            target,
            {"num_warps": launch.num_warps, "num_stages": launch.num_stages},
            aligned,
        )
        for launch in launches
    ]


def kernel_job(
    kernel: Any,
    *args: Any,
    target: str,
    num_warps: int = 4,
    num_stages: int = 2,
    aligned: bool = True,
    **constants: Any,
) -> Job:
    """The job of `compile_kernel`, for `compile_many`."""
    require_triton()
    architecture_of(target)
    options = {"num_warps": num_warps, "num_stages": num_stages}
    return Job(pack(kernel, args, constants, tensor_facts), target, options, aligned)


def require_triton() -> None:
    """Raise Unsupported where there is no compiler to ask."""
    here = mode()
    if here.name == "absent":
        raise Unsupported(f"kernels cannot be compiled here: {here.why}; inspect them on Linux, with Triton installed.")


def tensor_facts(tensor: Any) -> TensorFacts:
    """What Triton's own launcher would learn from this tensor; on "meta" an address is as good as its offset."""
    offset = tensor.storage_offset() * tensor.element_size()
    address = offset if tensor.device.type == "meta" else tensor.data_ptr()
    return TensorFacts(str(tensor.dtype).removeprefix("torch."), address % 16, tensor.untyped_storage().nbytes())


def all_or_raise(jobs: Sequence[Job]) -> list[Report]:
    """The reports of `jobs`, compiled at once; raises the first refusal."""
    results = compile_many(jobs)
    for result in results:
        if isinstance(result, MinillmError):
            raise result
    return [result for result in results if isinstance(result, Report)]


def _refusal(job: Job, error: str) -> str:
    indented = "\n".join(f"    {line}" for line in error.splitlines())
    return f"{job.parcel.entry.name} does not compile for {job.target}; the compiler says:\n{indented}"


def _progress() -> Callable[[int, int], None] | None:
    """A counter on the terminal, once waiting has become noticeable; None where nobody watches."""
    if not sys.stderr.isatty():
        return None
    start = time.monotonic()

    def show(done: int, total: int) -> None:
        if time.monotonic() - start > QUIET_SECONDS and total > 1:
            print(f"\rcompiled {done} of {total}", end="\n" if done == total else "", file=sys.stderr, flush=True)

    return show
