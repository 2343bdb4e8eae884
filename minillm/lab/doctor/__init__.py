"""What this machine can and cannot tell you about LLM inference, with the evidence.

A laptop runs every lesson, but it cannot show everything a GPU would: interpreted kernels never race, never run out of
shared memory, and are wrong in bfloat16. The doctor lists what is installed, what works and why the rest does not, and
then shows the blind spots by falling into each of them in a process of its own.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import types
from collections.abc import Mapping

from minillm.lab.doctor.facts import machine, memory_limit, version, versions
from minillm.lab.doctor.report import BlindSpot, Report, Verdict

PROBE_SECONDS = 8.0


def doctor(quick: bool = False) -> Report:
    """Look at this machine and report; under 10 s, never raises. `quick=True` leaves the self-tests of the interpreter out."""
    # The probes start first and run in their own process while this one imports torch and reads the rest.
    deadline = time.monotonic() + PROBE_SECONDS
    probes = None if quick else start_probes()
    found, computer, forms, kernels = versions(), machine(), backend_verdicts(), kernel_mode()
    untested = "not tested: quick" if quick else "not tested: the self-test could not be started"
    measured = finish_probes(probes, deadline) if probes else {}
    return Report(
        found, computer, forms, kernels, blind_spots(kernels, measured, untested), suggestions(found, kernels)
    )


def backend_verdicts() -> list[Verdict]:
    """Which forms of attention run here, and why the others do not."""
    try:
        from minillm.attention import backends

        return [Verdict(backend.name, backend.available, backend.why) for backend in backends().values()]
    except Exception as error:
        return [Verdict("attention", False, f"could not be loaded ({type(error).__name__}: {error})")]


def kernel_mode() -> str:
    """How Triton kernels run here: "gpu: ...", "interpreter: ..." or "absent: ..."."""
    try:
        from minillm.kernels.runtime import mode

        return str(mode())
    except Exception as error:
        return f"absent: could not be asked ({type(error).__name__}: {error})"


def start_probes() -> subprocess.Popen[str] | None:
    """The self-tests in a child process under the interpreter; None where there is no Triton to test."""
    if version("triton") is None:
        return None
    environment = {**os.environ, "TRITON_INTERPRET": "1", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-m", "minillm.lab.doctor.probes"]
    try:
        return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    except OSError:
        return None


def finish_probes(child: subprocess.Popen[str], deadline: float) -> dict[str, str]:
    """Probe name -> what it measured, waiting until `deadline` (monotonic seconds); keeps what was said before a time-out."""
    try:
        said, complaint = child.communicate(timeout=max(0.1, deadline - time.monotonic()))
        last_words = complaint.strip().splitlines() or ["no reason given"]
        missing = f"not measured (the self-test stopped: {last_words[-1]})"
    except subprocess.TimeoutExpired:
        child.kill()
        said, _ = child.communicate()
        missing = f"not measured (no answer within {PROBE_SECONDS:.0f} s)"
    measured = dict.fromkeys(BLIND_SPOTS, missing)
    for line in said.splitlines():
        try:
            answer = json.loads(line)
            measured[answer["probe"]] = answer["measured"]
        except (ValueError, KeyError, TypeError):  # a library's own chatter, or a line cut by the time-out
            continue
    return measured


# Probe name -> (what cannot be told, why, what minillm does instead).
BLIND_SPOTS = {
    "bfloat16": (
        "whether bfloat16 arithmetic is right",
        "the interpreter computes on NumPy arrays, which have no bfloat16, and it adds the raw bits",
        "convert right after the load, x.to(tl.float32), and compute in float32: better on a GPU too",
    ),
    "race": (
        "whether two programs race",
        "the interpreter runs programs one after another, so a missing atomic gives the right answer every time",
        "give each program its own output, or use tl.atomic_add; only a GPU settles it",
    ),
    "shared_memory": (
        "whether a tile fits in shared memory and registers",
        "the interpreter has neither limit; a GPU gives one program between 64 and 228 KiB of shared memory",
        "add up the tiles a program holds at once: rows x columns x bytes an element, times the stages in flight",
    ),
    "out_of_bounds": (
        "whether a load stays inside its tensor",
        "an interpreted load reads whatever lies there, as a GPU does, and a wrong number is the only sign",
        "mask every load, and test inside a larger tensor filled with NaN: a stray load then shows in the result",
    ),
}


NO_KERNELS = BlindSpot(
    "what a Triton kernel does",
    "without Triton a kernel can be neither compiled nor interpreted",
    "not tested: there is no Triton here",
    "lessons run the torch twin of each kernel, loop for loop, and show recorded results",
)
NO_GPU = BlindSpot(
    "how fast a GPU kernel is",
    "an interpreted kernel's time is Python's time, and a CPU hides what memory traffic costs",
    "nothing to measure without a GPU",
    "count bytes and FLOPs with ml.count(), which is exact, and look at recorded GPU results",
)
ONE_GPU = BlindSpot(
    "how fast other GPUs are",
    "times measured here are of this GPU alone",
    "nothing to measure without the other GPU",
    "look at recorded results, which name their machine",
)


def blind_spots(kernels: str, measured: Mapping[str, str], untested: str) -> list[BlindSpot]:
    """What this machine cannot tell, each with what the self-test measured, or `untested`."""
    if kernels.startswith("absent"):
        return [NO_GPU, NO_KERNELS]
    compiled = kernels.startswith("gpu")
    where = "when a kernel is interpreted, as ml.count() does: " if compiled else ""
    hidden = [
        BlindSpot(where + name, why, measured.get(key, untested), instead)
        for key, (name, why, instead) in BLIND_SPOTS.items()
    ]
    return [ONE_GPU if compiled else NO_GPU, *hidden]


def suggestions(found: Mapping[str, str], kernels: str) -> list[str]:
    """What to do next, the most useful first, each with its command."""
    advice = []
    for package, use in (
        ("ipywidgets", "move the controls of the widgets"),
        ("matplotlib", "draw the figures"),
        ("jupyterlab", "open the lessons"),
    ):
        if found.get(package) == "not installed":
            advice.append(f"To {use}: {sys.executable} -m pip install {package}")
    if kernels.startswith("absent"):
        linux = (
            f"{sys.executable} -m pip install triton"
            if sys.platform == "linux"
            else "use Linux (on Windows: WSL2); here lessons show the torch twin"
        )
        advice.append(f"To run Triton kernels: {linux}")
    elif kernels.startswith("interpreter"):
        advice.append("To see real speeds: run the same lessons on a Linux machine with an NVIDIA or AMD GPU")
    limit = memory_limit_or_none()
    if limit is not None and limit < 4 * 2**30:
        advice.append(
            "Memory is short: close other kernels before a lesson that trains (JupyterLab: Kernel, Shut Down All)"
        )
    return [*advice, "To start: make lab"]


def memory_limit_or_none() -> int | None:
    """The memory limit in bytes, or None when this system does not tell."""
    try:
        return memory_limit()
    except (OSError, ValueError):
        return None


class _CallableModule(types.ModuleType):
    """This module is also its function, so `ml.lab.doctor()` works whichever of the two was imported first."""

    def __call__(self, quick: bool = False) -> Report:
        return doctor(quick)


sys.modules[__name__].__class__ = _CallableModule
