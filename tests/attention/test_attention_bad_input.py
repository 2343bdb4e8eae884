"""Every bad input is refused with a typed error that states rule, numbers and remedy, before any work."""

import importlib
import math
import re
from fractions import Fraction

import pytest
import torch
from attention_cases import tensors

import minillm as ml
from minillm.attention import naive, sdpa, tiled
from minillm.errors import InvalidType, InvalidValue, MinillmError, nearest_divisors
from minillm.kernels import flash_attention

Q, K, V = tensors(3, 5, 4, 2)
N = math.nan
KERNEL = importlib.import_module("minillm.kernels.flash_attention")  # the name itself is its function's

TENSORS = {
    "no tensor": (Q.tolist(), K, V, InvalidType, "q must be a torch tensor; got list .*torch.as_tensor"),
    "integers": (Q, K.long(), V, InvalidType, r"k must hold floating-point.*got torch.int64; convert it"),
    "booleans": (Q, K, V > 0, InvalidType, "v must hold floating-point.*torch.bool"),
    "complex": (Q.to(torch.complex64), K, V, InvalidType, "complex64"),
    "sparse": (Q, K.to_sparse(), V, InvalidType, "k must be a dense tensor.*to_dense"),
    "mixed dtypes": (Q, K.float(), V, InvalidType, "share one dtype; got torch.float64, torch.float32, torch.float64"),
    "mixed devices": (Q, K.to("meta"), V, InvalidValue, "on one device; got cpu, meta, cpu"),
    "rank three": (Q[0], K, V, InvalidValue, r"q must have 4 dimensions \(B, L, H, D\); got 3: \(3, 4, 8\).*None"),
    "rank five": (Q, K[None], V[None], InvalidValue, "k must have 4 dimensions.*got 5"),
    "k and v differ": (Q, K, V[:, :4], InvalidValue, r"same shape.*\(2, 5, 2, 8\) and \(2, 4, 2, 8\)"),
    "value width differs": (Q, K, V[..., :4], InvalidValue, "same shape"),
    "batch differs": (Q[:1], K, V, InvalidValue, "same batch size B; got 1 and 2"),
    "width differs": (Q[..., :4], K, V, InvalidValue, "same head width D; got 4 and 8"),
    "no width": (Q[..., :0], K[..., :0], V[..., :0], InvalidValue, "at least 1; got H=4, G=2, D=0"),
    "no heads": (Q, K[:, :, :0], V[:, :, :0], InvalidValue, "at least 1; got H=4, G=0"),
    "heads do not divide": (*tensors(3, 5, 12, 5), InvalidValue, "multiple of num_kv_heads G; got 12 and 5.*4 or 6"),
    "fewer query heads": (*tensors(3, 5, 2, 4), InvalidValue, "got 2 and 4; nearest valid G: 2;"),
}

OPTIONS = {
    "causal as a number": ({"causal": 1}, InvalidType, "causal must be True or False; got int 1"),
    "return_lse as a word": ({"return_lse": "yes"}, InvalidType, "return_lse must be True or False"),
    "window of nothing": ({"window": 0}, InvalidValue, "window must be at least 1.*got 0; use window=None"),
    "negative window": ({"window": -3}, InvalidValue, "window must be at least 1.*got -3"),
    "window as a float": ({"window": 2.0}, InvalidType, "whole number of keys, or None; got float 2.0"),
    "window as a bool": ({"window": True}, InvalidType, "whole number of keys"),
    "window as a pair": ({"window": (2, 0)}, InvalidType, "whole number of keys"),
    "negative softcap": ({"softcap": -1.0}, InvalidValue, "softcap must be a finite number, 0 or more; got -1.0"),
    "infinite softcap": ({"softcap": math.inf}, InvalidValue, "softcap must be a finite number"),
    "no softcap": ({"softcap": None}, InvalidType, "softcap must be a number; got NoneType None; use 0.0"),
    "softcap as a tensor": ({"softcap": torch.ones(2)}, InvalidType, "softcap must be a number; got Tensor"),
    "softcap beyond float32": ({"softcap": 1e39}, InvalidValue, "softcap must be at most 1e[+]30; got 1e[+]39"),
    "softcap as a fraction": ({"softcap": Fraction(3, 2)}, InvalidType, "no fraction; got Fraction.*pass 1.5"),
    "scale beyond float32": ({"scale": -1e39}, InvalidValue, "scale must be from -1e[+]30 to 1e[+]30; got -1e[+]39"),
    "scale beyond any float": ({"scale": 10**400}, InvalidValue, "scale must be a finite number"),
    "window beyond 64 bits": ({"window": 2**70}, InvalidValue, "at most 2[*][*]62 keys; .*use window=None"),
    "nan scale": ({"scale": N}, InvalidValue, "scale must be a finite number; got nan; use None"),
    "infinite scale": ({"scale": -math.inf}, InvalidValue, "scale must be a finite number; got -inf"),
    "scale as a word": ({"scale": "auto"}, InvalidType, "scale must be a number"),
    "scale as a tensor": ({"scale": torch.ones(())}, InvalidType, "scale must be a number"),
    "sinks as a list": ({"sinks": [0.0] * 4}, InvalidType, "sinks must be a torch tensor"),
    "integer sinks": ({"sinks": torch.zeros(4, dtype=torch.int32)}, InvalidType, "sinks must hold floating-point"),
    "sinks per key head": ({"sinks": torch.zeros(2)}, InvalidValue, r"shape \(H,\).*got \(2,\) for H=4; pass 4"),
    "sinks with a batch": ({"sinks": torch.zeros(2, 4)}, InvalidValue, r"got \(2, 4\) for H=4"),
    "sinks elsewhere": ({"sinks": torch.zeros(4, device="meta")}, InvalidValue, "q's device; got meta and cpu"),
}


@pytest.fixture
def no_work(monkeypatch):
    """Any arithmetic before the refusal fails the test."""
    for module, name in ((naive, "attention_scores"), (sdpa, "attend"), (tiled, "attend_rows"), (KERNEL, "launch")):
        monkeypatch.setattr(module, name, lambda *_, **__: pytest.fail("work was done before the refusal"))


DOORS = [ml.attention, naive.naive_attention, sdpa.sdpa_attention, tiled.tiled_attention, flash_attention]
doors = pytest.mark.parametrize("door", DOORS, ids=["ml.attention", "naive", "sdpa", "tiled", "triton"])


@doors
@pytest.mark.parametrize("name", TENSORS)
def test_bad_tensors(name, door, no_work):
    q, k, v, error, text = TENSORS[name]
    with pytest.raises(error, match=text) as caught:
        door(q, k, v)
    assert_rule_numbers_remedy(caught.value)


@doors
@pytest.mark.parametrize("name", OPTIONS)
def test_bad_options(name, door, no_work):
    options, error, text = OPTIONS[name]
    with pytest.raises(error, match=text) as caught:
        door(Q, K, V, **options)
    assert_rule_numbers_remedy(caught.value)


def assert_rule_numbers_remedy(error):
    assert isinstance(error, MinillmError)
    assert re.fullmatch(r".+; got .+; .+\.", str(error), re.DOTALL), str(error)


def test_heads_first_layout_is_suspected():
    q, k, v = (x.transpose(1, 2) for x in tensors(7, 5, 4, 2))
    with pytest.raises(InvalidValue, match=r"transpose\(1, 2\)"):
        ml.attention(q, k, v)


@pytest.mark.parametrize(("H", "G", "words"), [(12, 5, "4 or 6"), (7, 3, "1 or 7"), (4, 9, "4"), (32, 12, "8 or 16")])
def test_nearest_divisors(H, G, words):
    assert nearest_divisors(H, G) == words


def test_numbers_from_numpy_are_numbers():
    import numpy as np

    options = {"window": np.int64(2), "softcap": np.float32(2.0), "scale": np.float64(0.5)}
    want = ml.attention(Q, K, V, window=2, softcap=2.0, scale=0.5)
    assert torch.equal(ml.attention(Q, K, V, **options), want)
