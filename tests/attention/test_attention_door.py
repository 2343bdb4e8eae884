"""The public face: a module one can call, a table that says why, and a choice of backend that follows the options."""

import inspect
import subprocess
import sys

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
    assert table.choose_backend("auto", tuple(options)).name == chosen
    q, k, v = tensors(3, 5)
    got, want = ml.attention(q, k, v, **options), ml.attention(q, k, v, backend=chosen, **options)
    torch.testing.assert_close(got, want, rtol=0, atol=0)


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
