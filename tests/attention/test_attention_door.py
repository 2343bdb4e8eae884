"""The public face: a module one can call, a table that says why, and a choice of backend that follows the options."""

import inspect
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from attention_cases import tensors

import minillm as ml
from minillm.attention import naive, sdpa, table
from minillm.errors import InvalidType, InvalidValue, Unsupported
from minillm.kernels import mode, runtime


def test_the_module_is_the_operator_and_still_a_module():
    q, k, v = tensors(3, 5)
    assert torch.equal(ml.attention(q, k, v, backend="naive"), naive.naive_attention(q, k, v))
    assert ml.attention.naive is naive and ml.attention.sdpa is sdpa
    assert inspect.ismodule(ml.attention) and callable(ml.attention)


def test_help_shows_the_contract():
    want = ["causal", "window", "softcap", "sinks", "scale", "backend", "return_lse"]
    for shown in (ml.attention, ml.attention.attention):
        signature = inspect.signature(shown)
        assert list(signature.parameters) == ["q", "k", "v", *want]
        assert all(signature.parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in want)
    assert "bottom" not in ml.attention.attention.__doc__ and "(B, L, H, D)" in ml.attention.attention.__doc__


def test_the_table_prints_what_is_here_and_why_not():
    rows = ml.backends()
    assert list(rows) == ["naive", "tiled", "sdpa", "triton"]
    assert [rows[name].available for name in ("naive", "tiled", "sdpa")] == [True, True, True]
    assert rows["triton"].available == (mode().name != "absent") and mode().why in rows["triton"].why
    lines = repr(rows).splitlines()
    assert lines[0].split() == ["name", "available", "why"] and len(lines) == 5
    assert "naive" in rows and "sdap" not in rows


@pytest.mark.parametrize(
    ("options", "chosen"),
    [
        ({}, "sdpa"),
        ({"causal": True, "window": 2, "scale": 0.5}, "sdpa"),
        ({"sinks": torch.zeros(4)}, "sdpa"),
        ({"softcap": 2.0}, "naive"),
        ({"return_lse": True}, "naive"),
    ],
)
def test_auto_takes_the_fastest_that_can(options, chosen):
    q, k, v = tensors(3, 5)
    assert table.choose_backend("auto", tuple(options), q).name == chosen
    got, want = ml.attention(q, k, v, **options), ml.attention(q, k, v, backend=chosen, **options)
    torch.testing.assert_close(got, want, rtol=0, atol=0)


@pytest.fixture
def gpu(monkeypatch):
    """Queries that say they are on a GPU, and a machine that says it compiles for it. Nothing is computed."""
    monkeypatch.setattr(runtime, "mode", lambda: runtime.Mode("gpu", "a test"))
    table.find_backend.cache_clear()
    yield lambda dtype=torch.bfloat16, D=64, device="cuda": SimpleNamespace(
        device=torch.device(device), dtype=dtype, shape=(1, 5, 4, D)
    )
    table.find_backend.cache_clear()


def test_auto_on_a_gpu_takes_the_kernel_for_what_the_library_lacks(gpu):
    pytest.importorskip("triton")

    def chosen(*needed, **queries):
        return table.choose_backend("auto", needed, gpu(**queries)).name

    assert chosen() == chosen("causal", "window", "sinks") == "sdpa"
    assert chosen("softcap") == chosen("return_lse", "causal") == "triton"
    assert chosen("softcap", D=256) == chosen("softcap", dtype=torch.float32) == "triton"
    assert chosen("softcap", D=257) == chosen("softcap", dtype=torch.float64) == "naive"
    assert chosen("softcap", device="cpu") == chosen("softcap", device="mps") == "naive"


def test_auto_passes_over_what_is_not_here(gpu, monkeypatch):
    monkeypatch.setitem(table.CREATORS, "triton", lambda: table.Backend("triton", False, "a test"))
    table.find_backend.cache_clear()
    assert table.choose_backend("auto", ("softcap",), gpu()).name == "naive"


def test_auto_does_not_interpret_on_a_gpu_machine(gpu, monkeypatch):
    pytest.importorskip("triton")
    monkeypatch.setattr(runtime, "mode", lambda: runtime.Mode("interpreter", "TRITON_INTERPRET is set"))
    assert table.choose_backend("auto", ("softcap",), gpu()).name == "naive"


def test_auto_on_a_cpu_never_imports_triton():
    script = (
        "import sys, torch, minillm as ml; q = torch.ones(1, 2, 2, 8)\n"
        "ml.attention(q, q, q, softcap=2.0, return_lse=True); print('triton' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True, timeout=60)
    assert run.stdout.strip() == "False"


def test_an_option_of_zero_is_still_an_option():
    q, k, v = tensors(3, 5, H=2, G=2)
    torch.testing.assert_close(ml.attention(q, k, v, scale=0.0), v.mean(1, keepdim=True).expand_as(q))


def test_a_new_backend_is_one_function_and_one_line(monkeypatch):
    row = table.Backend("zeros", True, "a test", frozenset({"causal"}), lambda q, k, v, causal=False: q * 0)
    monkeypatch.setitem(table.CREATORS, "zeros", lambda: row)
    q, k, v = tensors(3, 5)
    assert ml.attention(q, k, v, causal=True, backend="zeros").eq(0).all()
    with pytest.raises(Unsupported, match="'zeros' cannot compute window"):
        ml.attention(q, k, v, window=2, backend="zeros")
    table.find_backend.cache_clear()


def test_unknown_and_unavailable_backends_say_what_to_use(monkeypatch):
    q, k, v = tensors(3, 5)
    with pytest.raises(InvalidValue, match=r"unknown backend 'sdap' \(did you mean 'sdpa'\?\); known: naive, .*auto"):
        ml.attention(q, k, v, backend="sdap")
    with pytest.raises(InvalidType, match="backend must be a name"):
        ml.attention(q, k, v, backend=None)
    monkeypatch.setattr(runtime, "_triton_is_installed", lambda: False)
    table.find_backend.cache_clear()
    with pytest.raises(Unsupported, match=r"'triton' is not available: Triton .*; use 'tiled'"):
        ml.attention(q, k, v, backend="triton")
    assert not ml.backends()["triton"].available and str(ml.backends()["triton"]).split()[1] == "no"
    table.find_backend.cache_clear()


def test_an_option_the_backend_lacks_names_one_that_has_it():
    q, k, v = tensors(3, 5)
    with pytest.raises(Unsupported, match=r"'sdpa' cannot compute softcap and return_lse.*use 'naive'"):
        ml.attention(q, k, v, softcap=1.0, return_lse=True, backend="sdpa")


def test_an_unknown_option_is_refused_with_the_nearest():
    q, k, v = tensors(3, 5)
    with pytest.raises(InvalidType, match=r"no option 'is_causal' \(did you mean 'causal'\?\); known: causal, window"):
        ml.attention(q, k, v, is_causal=True)
    with pytest.raises(InvalidType, match="no option 'dropout'"):
        ml.attention(q, k, v, dropout=0.1)


def test_importing_the_room_imports_no_torch_and_survives_any_order():
    script = (
        "import sys, minillm.attention; assert 'torch' not in sys.modules\n"
        "import minillm.attention.dispatch, minillm.attention.table\n"
        "import minillm as ml; assert callable(ml.backends) and callable(ml.attention.attention)\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
