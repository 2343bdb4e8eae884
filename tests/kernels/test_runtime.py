"""The seam every kernel is launched through: what it refuses, what it writes down, and that nobody has to choose a mode."""

import os
import re
import subprocess
import sys

import pytest
import torch

import minillm as ml
from minillm.errors import InvalidValue, Unsupported
from minillm.kernels import flash_attention, mode, runtime
from minillm.kernels.runtime import Mode, allow_tile_steps, architecture, launch, rehearse

interpreted = pytest.mark.skipif(mode().name != "interpreter", reason="asks the interpreter")


def fresh(script, **environment):
    """What a new interpreter prints, with Triton's and our switches unset unless given."""
    clean = {k: v for k, v in os.environ.items() if k not in ("TRITON_INTERPRET", "MINILLM_COMPILE_ONLY")}
    run = subprocess.run(
        [sys.executable, "-c", script],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


BLOCKED = """
import sys
sys.modules["triton"] = None
import torch, minillm as ml
from minillm.kernels import flash_attention, flash_attention_varlen, flash_decode, kv_write, matmul, merge_states, mode
from minillm.kernels import rotary, softmax
q = torch.randn(1, 5, 2, 16)
ends = torch.tensor([0, 5], dtype=torch.int32)
calls = {
    "flash_attention": lambda: flash_attention(q, q, q),
    "flash_attention_varlen": lambda: flash_attention_varlen(q[0], q[0], q[0], ends, ends, 5, 5),
    "flash_decode": lambda: flash_decode(q[:, 0], q, q, ends[1:]),
    "kv_write": lambda: kv_write(q[0], q[0], q, q, torch.arange(5)),
    "rotary": lambda: rotary(q[0], q[0], q[0, :, 0], q[0, :, 0], torch.arange(5)),
    "merge_states": lambda: merge_states([q, q], [torch.zeros(1, 2, 5)] * 2),
    "matmul": lambda: matmul(q[0, 0], q[0, 0].T),
    "softmax": lambda: softmax(q),
    "backend": lambda: ml.attention(q, q, q, backend="triton"),
}
for name, call in calls.items():
    try:
        call()
    except ml.errors.Unsupported as error:
        print(name, "|", error)
print(mode().name, ml.backends()["triton"].available, "use 'tiled'" in ml.backends()["triton"].why)
print(torch.allclose(ml.attention(q, q, q, backend="tiled"), ml.attention(q, q, q), atol=1e-6))
print([name for name in sys.modules if name.startswith("triton")])
"""


def test_without_triton_every_kernel_imports_and_says_why_it_does_not_run():
    *refusals, where, twin, imported = fresh(BLOCKED).splitlines()
    assert [line.split(" | ")[0] for line in refusals] == [
        "flash_attention", "flash_attention_varlen", "flash_decode", "kv_write", "rotary", "merge_states", "matmul",
        "softmax", "backend",
    ]  # fmt: skip
    assert all("Triton is not installed" in line or "no build for" in line for line in refusals), refusals
    assert all(re.search("use .*(tiled|torch|naive)", line) for line in refusals), refusals
    assert (where, twin, imported) == ("absent False True", "True", "['triton']")


FIRST = """
import triton, triton.language as tl
assert type(tl.sum).__name__ == "JITFunction"
import torch, minillm as ml
from minillm.kernels import flash_attention, mode
q, k, v = (torch.randn(1, 70, 2, 32).bfloat16() for _ in range(3))
out = flash_attention(q, k, v, causal=True)
print(mode().name, (out.double() - ml.attention(q.double(), k.double(), v.double(), causal=True)).abs().max().item() < 0.02)
"""


@interpreted
def test_whoever_imported_triton_first_kernels_are_interpreted():
    assert fresh(FIRST) == "interpreter True"


@interpreted
@pytest.mark.parametrize("value", ["1", "0"])
def test_the_switch_may_be_set_or_not(value):
    script = (
        "import torch; from minillm.kernels import softmax, mode; "
        "print(mode().name, softmax(torch.ones(2, 4)).tolist() == [[0.25] * 4] * 2)"
    )
    assert fresh(script, TRITON_INTERPRET=value) == "interpreter True"


def test_reading_a_name_launches_nothing_and_importing_the_room_imports_no_triton():
    script = (
        "import sys, minillm.kernels as k; k.mode(); dir(k); print('triton' in sys.modules, 'torch' in sys.modules)"
    )
    assert fresh(script).split()[0] == "False"


@pytest.fixture
def compiling(monkeypatch):
    """Pretend that kernels are compiled here, for a GPU that the tensors are not on."""
    monkeypatch.setattr(runtime, "mode", lambda: Mode("gpu", "a test"))
    monkeypatch.setattr(runtime, "_gpu_architecture", lambda: "sm_90")


def test_cpu_tensors_never_reach_a_compiled_kernel(compiling):
    q = torch.zeros(1, 5, 2, 16)
    assert architecture() == "sm_90"
    with pytest.raises((InvalidValue, Unsupported), match=r"compiled for the GPU.*tensors on cpu; .*\.cuda\(\)"):
        flash_attention(q, q, q)


class Recorded:
    """Stands for a kernel: remembers the grids and arguments it was launched with."""

    def __init__(self):
        self.launches = []

    def __getitem__(self, grid):
        return lambda *args, **constants: self.launches.append((grid, args, constants))


def never():
    raise AssertionError("the cost of a launch that does not happen was asked for")


@interpreted
def test_a_launch_reaches_the_kernel_without_what_only_compilers_know():
    kernel = Recorded()
    launch(kernel, (2, 3), 1, 2, tile_steps=lambda: 5, smaller=str, num_warps=8, num_stages=3, BLOCK=64)
    assert kernel.launches == [((2, 3), (1, 2), {"BLOCK": 64})]


def test_an_empty_grid_is_no_launch():
    kernel = Recorded()
    launch(kernel, (0, 3), tile_steps=never, smaller=never)
    assert kernel.launches == []


@interpreted
def test_patience_is_a_region():
    kernel = Recorded()

    def take(steps):
        launch(kernel, (1,), tile_steps=lambda: steps, smaller=lambda limit: f"{limit} rows")

    with allow_tile_steps(10):
        take(10)
        with pytest.raises(InvalidValue, match=r"kept to 10 steps .*; got 11; use 10 rows, or .*, or a GPU\."):
            take(11)
        with allow_tile_steps(100):
            take(11)
        with pytest.raises(InvalidValue):
            take(11)
    take(runtime.MAX_TILE_STEPS)
    with pytest.raises(InvalidValue, match="kept to 16,384 steps"):
        take(runtime.MAX_TILE_STEPS + 1)
    assert len(kernel.launches) == 3


@interpreted
@pytest.mark.parametrize("shape", [(4, 300, 300, 8), (1, 1000, 1000, 1), (1, 1, 9000, 4)], ids=str)
def test_an_endless_call_is_refused_and_the_shape_it_names_is_accepted(shape):
    B, L, S, H = shape
    with allow_tile_steps(12):
        with pytest.raises(InvalidValue, match=r"at 2 to 5 ms each; got [\d,]+; use B = ") as refusal:
            flash_attention(torch.zeros(B, L, H, 16), *torch.zeros(2, B, S, H, 16), causal=L == S)
        B, L, S, H = (int(re.search(rf"\b{name} = (\d+)", str(refusal.value))[1]) for name in "BLSH")
        flash_attention(torch.zeros(B, L, H, 16), *torch.zeros(2, B, S, H, 16), causal=L == S)
    assert shape != (B, L, S, H)


def test_a_rehearsal_writes_down_launches_and_runs_none():
    kernel = Recorded()
    with rehearse("sm_90") as launches:
        assert architecture() == "sm_90"
        launch(kernel, (4,), 7, tile_steps=never, smaller=never, num_warps=8, num_stages=3, BLOCK=64)
        with rehearse("gfx942") as inner:
            assert architecture() == "gfx942"
            launch(kernel, (1,), tile_steps=never, smaller=never)
    (noted,) = launches
    assert (noted.kernel, noted.grid, noted.args, noted.constants) == (kernel, (4,), (7,), {"BLOCK": 64})
    assert (noted.num_warps, noted.num_stages) == (8, 3)
    assert len(inner) == 1 and kernel.launches == []


def test_a_rehearsal_that_fails_ends():
    before = architecture()
    with pytest.raises(ZeroDivisionError), rehearse("sm_80"):
        raise ZeroDivisionError
    assert architecture() == before


def test_meta_tensors_are_enough_to_rehearse():
    q = torch.empty(4, 4096, 32, 128, dtype=torch.bfloat16, device="meta")
    with rehearse("sm_90") as launches:
        out, lse = flash_attention(q, q[:, :, :8], q[:, :, :8], causal=True, return_lse=True)
    assert (out.shape, lse.shape) == (q.shape, (4, 32, 4096))
    assert launches[0].constants["CAUSAL"] and launches[0].num_warps == 8


@interpreted
def test_the_face_computes_with_kernels_here():
    q = torch.randn(1, 9, 2, 16, generator=torch.Generator().manual_seed(0))
    got = ml.attention(q, q, q, backend="triton", causal=True)
    torch.testing.assert_close(got, ml.attention(q, q, q, backend="naive", causal=True), atol=1e-5, rtol=1e-5)
