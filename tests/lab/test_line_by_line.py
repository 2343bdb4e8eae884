"""Lines are found by what they assign to, in files that are read and not imported."""

import sys

import pytest

from minillm.errors import InvalidValue
from minillm.lab.line_by_line import assignments, line_by_line, source_of

TWIN, KERNEL = "minillm.attention.tiled:attend_tile", "minillm.kernels.flash_attention:attend_tiles"


def test_source_is_the_function_without_its_decorator():
    assert source_of(KERNEL).startswith("def attend_tiles(")
    assert source_of(KERNEL).endswith("return acc, l, m")


def test_a_file_is_read_and_not_imported(tmp_path, monkeypatch):
    (tmp_path / "needs_a_gpu.py").write_text(
        "import no_such_package\n\n\n@no_such_package.jit\ndef f(x):\n    y = x  # why\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert assignments("needs_a_gpu:f", "y") == ["y = x"]
    assert "needs_a_gpu" not in sys.modules


def test_every_line_of_a_name_in_order_and_none_of_another():
    assert assignments(KERNEL, "acc")[0] == "acc = acc * alpha[:, None]"
    assert [line.split()[0] for line in assignments(KERNEL, "s", skip="softcap")] == ["s", "s"]
    assert len(assignments(KERNEL, "s")) == 3


def test_the_table_numbers_its_sides():
    assert line_by_line(TWIN, KERNEL, [("k_tile", "k")]).splitlines() == [
        "1  tiled.py: attend_tile",
        "2  flash_attention.py: attend_tiles",
        "",
        "1  k_tile = load(k[keys], shape=shape)",
        "2  k = load_tile(k_ptrs, mask_s, mask_d, MASKED, D != BLOCK_D)",
    ]


@pytest.mark.parametrize("place", ["minillm.no_module:f", "minillm.attention.tiled:attend_tiel"])
def test_an_unknown_place_is_refused(place):
    with pytest.raises(InvalidValue):
        source_of(place)


def test_a_name_that_nobody_assigns_is_refused():
    with pytest.raises(InvalidValue, match="beta"):
        line_by_line(TWIN, KERNEL, [("beta", "beta")])
