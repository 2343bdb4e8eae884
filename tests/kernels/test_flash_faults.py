"""One wrong line in the real kernel is seen: each edit of its source below fails the named check, and needs 64-bit offsets."""

import dataclasses
import importlib.util
import inspect
from pathlib import Path

import pytest
import torch
from flash_battery import CHECKS, SMALL

from minillm.kernels import mode, runtime
from minillm.kernels.runtime import rehearse

pytestmark = pytest.mark.skipif(mode().name != "interpreter", reason="edits are tried in the interpreter")
SOURCE = Path(runtime.__file__).with_name("flash_attention.py").read_text()

# What goes wrong: (the line, or part of one; what stands there instead; the check that must fail).
FAULTS = {
    "output not rescaled": ("acc = acc * alpha[:, None]", "acc = acc", "rising_keys"),
    "sum not rescaled": ("l = l * alpha + tl.sum(p, 1)", "l = l + tl.sum(p, 1)", "rising_keys"),
    "maximum of the tile alone": ("tl.maximum(m, tl.max(s, 1) * unit)", "tl.max(s, 1) * unit", "large_logits"),
    "maximum forgotten": ("        m = m_new\n", "", "ones_stay_one"),
    "no guard of -inf": ('tl.where(m_new == -float("inf"), 0.0, m_new)', "m_new", "bottom_right"),
    "finite mask": ('tl.where(visible, s, -float("inf"))', "tl.where(visible, s, -1e9)", "bottom_right"),
    "strict causal": ("offs_s[None, :] <= positions[:, None]", "offs_s[None, :] < positions[:, None]", "bottom_right"),
    "top left": ("positions = offs_l + S - L", "positions = offs_l", "bottom_right"),
    "no end of keys": ("visible = mask_s[None, :]", "visible = offs_s[None, :] >= 0", "ragged_end"),
    "last tile never read": ("    end = S\n", "    end = full_end\n", "ragged_end"),
    "diagonal not masked": (
        "full_end = tl.minimum(tl.maximum(first + 1, 0), S)",
        "full_end = tl.minimum(tl.maximum(last + 1, 0), S)",
        "bottom_right",
    ),
    "window starts late": ("start = tl.maximum(first - window + 1", "start = tl.maximum(last - window + 1", "window_counts_keys"),
    "window's edge not masked": ("window + 1, 0) + BLOCK_S - 1)", "window + 1, 0))", "window_counts_keys"),
    "window one too wide": ("> positions[:, None] - window", ">= positions[:, None] - window", "window_counts_keys"),
    "cap not undone in the exponent": ("unit = 1.0", "unit = scale", "values"),
    "cap after the mask": (
        "m_new = tl.maximum(m",
        "s = softcap * tanh(s) if SOFTCAP else s\n        m_new = tl.maximum(m",
        "hidden_under_a_cap",
    ),
    "wrong key head": ("g = h // GROUP", "g = h % (H // GROUP)", "neighbours_share"),
    "values do not advance": ("        v_ptrs += BLOCK_S * stride_vs\n", "", "rising_keys"),
    "values by the keys' strides": (
        "v_ptr + first * stride_vs + tl.cast(tile_s, tl.int64)[:, None] * stride_vs",
        "v_ptr + first * stride_ks + tl.cast(tile_s, tl.int64)[:, None] * stride_ks",
        "strided_views",
    ),
    "sink in base e": (" * 1.4426950408889634", "", "sinks_count_once"),
    "sink without weight": ("l = tl.zeros((BLOCK_L,), tl.float32) + 1.0", "l = tl.zeros((BLOCK_L,), tl.float32)", "sinks_count_once"),
    "lse in base 2": (" * 0.6931471805599453", "", "natural_lse"),
    "division by no sum": ("l_safe = tl.where(l == 0.0, 1.0, l)", "l_safe = l", "bottom_right"),
    "accumulates in half": (
        "m = m_new\n",
        "acc = acc.to(v.dtype).to(tl.float32)\n        m = m_new\n",
        "half_precision",
    ),
    "negative scale not folded": ("else (-q, -float(scale))", "else (q, float(scale))", "values"),
    "lse left in fresh memory": ("    tl.store(lse_ptr", "    if CAUSAL == 0:\n        tl.store(lse_ptr", "fresh_memory"),
}  # fmt: skip


def edited(old, new, folder):
    """The kernel's module with one edit."""
    assert SOURCE.count(old) == 1, f"{old!r} stands {SOURCE.count(old)} times in the kernel; bring this test up to date"
    file = folder / "edited_flash_attention.py"
    file.write_text(SOURCE.replace(old, new))
    spec = importlib.util.spec_from_file_location("edited_flash_attention", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.filterwarnings("ignore")  # NumPy's, of NaN
@pytest.mark.parametrize("fault", FAULTS)
def test_one_wrong_line_is_seen(fault, tmp_path):
    old, new, check = FAULTS[fault]
    module = edited(old, new, tmp_path)
    with pytest.raises(AssertionError):
        CHECKS[check](module.flash_attention, SMALL)


@pytest.fixture
def overflow_raises(monkeypatch):
    """The interpreter's debug mode: an integer product that 32 bits cannot hold is an error."""
    from triton.runtime.interpreter import interpreter_builder

    monkeypatch.setattr(interpreter_builder, "options", dataclasses.replace(interpreter_builder.options, debug=True))


def run_far_apart(module, S):
    """Run the kernel as if batches, rows and heads lay 2**30 elements apart, with no query and S keys.

    The wrapper hands over the strides of such tensors, and every address is computed. None is followed but the first
    key's, if S is 1, by the one program whose batch and head begin at 0.
    """
    far = torch.empty_strided((3, 130, 4, 16), (2**30, 2**30, 2**30, 1), device="meta")
    with rehearse("interpreter") as launches:
        module.flash_attention(far, far, far)
    (launch,) = launches
    args = [torch.zeros(64) if isinstance(x, torch.Tensor) else x for x in launch.args]
    names = list(inspect.signature(launch.kernel.fn).parameters)
    args[names.index("L")], args[names.index("S")] = 0, S
    launch.kernel[(1,) if S else launch.grid](*args, **launch.constants)


@pytest.mark.parametrize("S", [0, 1])
def test_offsets_past_two_to_the_31st(overflow_raises, S):
    run_far_apart(importlib.import_module("minillm.kernels.flash_attention"), S)


@pytest.mark.parametrize(
    ("old", "new", "S"),
    [
        ("b, h = tl.cast(bh // H, tl.int64), tl.cast(bh % H, tl.int64)", "b, h = bh // H, bh % H", 0),
        ("stride_ks, stride_vs = tl.cast(stride_ks, tl.int64), tl.cast(stride_vs, tl.int64)\n", "pass\n", 1),
        ("out_ptr + tl.cast(offs_l, tl.int64)[:, None] * stride_ol", "out_ptr + (offs_l * 2**30)[:, None]", 0),
    ],
    ids=["heads and batches", "steps of the loop", "rows"],
)
def test_a_missing_cast_is_seen(overflow_raises, old, new, S, tmp_path):
    with pytest.raises(Exception, match="int32 overflow detected"):
        run_far_apart(edited(old, new, tmp_path), S)
