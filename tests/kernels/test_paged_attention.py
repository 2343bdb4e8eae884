"""Paged attention: the same battery for the kernel and its torch twin, counters to the byte, and who may ask for what."""

import functools
import importlib
import inspect

import pytest
import torch
from paged_battery import CHECKS, DECODE, DTYPES, MIXED, with_sinks
from paged_cases import make_case, quantize

import minillm as ml
from minillm.attention import tiled_paged_attention
from minillm.errors import InvalidType, InvalidValue, Unsupported
from minillm.kernels import flash_attention_varlen, mode, paged_attention
from minillm.kernels.attention_tiles import Tiles
from minillm.kernels.runtime import allow_tile_steps, rehearse
from minillm.measure.paged_cost import cut_range, find_text, paged_attention_cost, paged_rows
from minillm.measure.splits import split_range
from minillm.measure.tiles import key_range

here = mode().name
needs_triton = pytest.mark.skipif(here == "absent", reason="Triton is not installed")
interpreted = pytest.mark.skipif(here != "interpreter", reason="asks the interpreter")
DEVICE = "cuda" if here == "gpu" else "cpu"


def kernel(*args, block_l, block_s, **options):
    return paged_attention(*args, tiles=Tiles(block_l, block_s), **options)


@needs_triton
@pytest.mark.parametrize("name", CHECKS)
def test_the_kernel_passes(name):
    CHECKS[name](kernel, DEVICE)


@pytest.mark.parametrize("name", CHECKS)
def test_the_twin_passes(name):
    CHECKS[name](tiled_paged_attention, "cpu")
