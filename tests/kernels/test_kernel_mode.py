"""Which way kernels can run is told without importing Triton, and without ever raising."""

import importlib.util
import subprocess
import sys

import pytest
import torch

from minillm.kernels import mode, runtime


@pytest.fixture
def machine(monkeypatch):
    """Set what the machine has: Triton or not, a GPU's name or None."""
    # The machine's own GPU is asked for once a process; here every machine is a new one.
    monkeypatch.setattr(runtime, "_gpu_name", runtime._gpu_name.__wrapped__)

    def set_up(triton=True, gpu=None, interpret=None):
        monkeypatch.setattr(importlib.util, "find_spec", lambda name: object() if triton else None)
        monkeypatch.setattr(torch.cuda, "is_available", lambda: gpu is not None)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda: gpu)
        monkeypatch.delenv("TRITON_INTERPRET", raising=False)
        if interpret is not None:
            monkeypatch.setenv("TRITON_INTERPRET", interpret)

    return set_up


def test_the_three_modes(machine):
    machine(triton=False, gpu="H200")
    assert mode().name == "absent"
    machine(gpu=None)
    assert mode().name == "interpreter" and "no GPU" in mode().why
    machine(gpu="H200")
    assert mode().name == "gpu" and "H200" in str(mode())


def test_the_interpreter_can_be_asked_for_on_a_gpu_machine(machine):
    machine(gpu="H200", interpret="1")
    assert mode().name == "interpreter" and "TRITON_INTERPRET" in mode().why
    machine(gpu="H200", interpret="0")
    assert mode().name == "gpu"


def test_other_platforms_are_told_why(machine, monkeypatch):
    machine(triton=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert mode().why.startswith("Triton has no build for darwin")


def test_a_broken_driver_or_module_is_no_exception(machine, monkeypatch):
    machine(gpu="H200")
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: (_ for _ in ()).throw(RuntimeError("driver")))
    assert mode().name == "interpreter"
    monkeypatch.undo()
    monkeypatch.setitem(sys.modules, "triton", None)
    assert mode().name == "absent"


def test_the_answer_is_frozen():
    with pytest.raises(AttributeError):
        runtime.Mode("gpu", "because").name = "absent"


def test_asking_imports_no_triton():
    script = "import sys; from minillm.kernels import mode; mode(); assert 'triton.language' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
