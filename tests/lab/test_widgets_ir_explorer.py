"""The IR explorer: every line of every stage is shown under the source line it came from, and nothing needs compiling."""

import html
import re

import pytest

from minillm.errors import InvalidType, InvalidValue, Unsupported
from minillm.kernels.occupancy import occupancy
from minillm.kernels.report import Report
from minillm.kernels.runtime import mode
from minillm.kernels.source_map import Place
from minillm.kernels.targets import relative
from minillm.lab import widgets
from minillm.lab.widgets import ir_compare
from minillm.lab.widgets.ir_compare import explore_ir
from minillm.lab.widgets.ir_panel import page
from minillm.lab.widgets.ir_view import operation

SOURCE = ["@triton.jit", "def copy(x, out):", "    a = tl.load(x)", "    tl.store(out, a * 2)"]
TTIR = """#loc1 = loc("/tmp/mine.py":12:4)
#loc2 = loc("/tmp/mine.py":13:4)
module {
  %a = tt.load %x : tensor<128x!tt.ptr<f32>> loc(#loc1)
  %b = arith.mulf %a, %two : tensor<128xf32> loc(#loc2)
  tt.store %out, %b : tensor<128x!tt.ptr<f32>> loc(#loc2)
}
"""


def ptx(*loads):
    body = "".join(f"\t{load};\n" for load in loads)
    return f"\t.loc\t1 12 4 // mine.py:12:4\n$L__tmp0:\n{body}\t.loc\t1 13 4 // mine.py:13:4\n\tmul.f32 \t%f2, %f1, 2;\n\tst.global.b32 \t[ %rd2 ], <%f2>;\n"


def report(target="sm_90", assembly=None, registers=32, spills=0, **instructions):
    stages = {
        "ttir": TTIR,
        "amdgcn" if target.startswith("gfx") else "ptx": assembly or ptx("ld.global.b32 %f1, [ %rd1 ]"),
    }
    from minillm.kernels.occupancy import ARCHITECTURES

    chip = ARCHITECTURES[relative(target)]
    return Report(
        kernel="copy", target=target, config={"num_warps": 4, "num_stages": 2}, registers=registers, spill_bytes=spills,
        shared_bytes=1024, shared_limit=chip.program_shared_bytes,
        occupancy=occupancy(chip, registers=registers, shared_bytes=1024, warps=4, tensor_memory_columns=0),
        instructions=instructions, compile_seconds=1.0, triton="3.7.1", stages=stages,
        source={Place("/tmp/mine.py", 10 + i): text for i, text in enumerate(SOURCE)},
    )  # fmt: skip


@pytest.fixture
def pair():
    wide = report(assembly=ptx(*["cp.async.cg.shared.global [ %r1 ], [ %rd1 ], 0x10"] * 2), async_copy_16=2)
    narrow = report(assembly=ptx(*["ld.global.b16 %rs1, [ %rd1 ]"] * 16), registers=255, spills=1128, local_load=3)
    return {"aligned": wide, "unaligned": narrow}


def test_a_source_line_finds_its_lines_at_every_stage(pair):
    explorer = explore_ir(pair)
    left, right = explorer.data(stage="ttir", line="mine.py:13").sides
    assert (
        [text.split(" ")[0] for text in left.of("mine.py:13")]
        == ["%b", "tt.store"]
        == [text.split(" ")[0] for text in right.of("mine.py:13")]
    )
    left, right = explorer.data(stage="ptx", line="mine.py:12").sides
    assert left.operations("mine.py:12") == [("cp.async.cg.shared.global", 2)]
    assert right.operations("mine.py:12") == [("ld.global.b16", 16)]
    assert (left.total, right.total) == (4, 18)  # labels are no code


def test_every_line_of_code_with_a_place_is_shown_under_one_source_line(pair):
    for stage in ("ttir", "ptx"):
        for side in explore_ir(pair).data(stage=stage).sides:
            placed = [text for place, text in side.report.lines(stage) if place and "tmp0" not in text]
            assert sorted(text.strip().replace("\t", " ") for text in placed) == sorted(
                t for texts in side.by_line.values() for t in texts
            )


def test_it_opens_at_the_line_whose_traffic_changed_most(pair):
    assert explore_ir(pair).data().picked == "mine.py:12"
    slow = report(assembly=ptx("ld.global.b32 %f1, [ %rd1 ]", *["add.s32 %r1, %r2, 1"] * 9))
    assert explore_ir({"one": report(), "many": slow}).data().picked == "mine.py:12"


def test_the_counters_that_matter_stand_on_top(pair):
    lines = explore_ir(pair).text().splitlines()
    assert lines[:2] == ["aligned: copy for sm_90, 4 warps, 2 stages", "unaligned: copy for sm_90, 4 warps, 2 stages"]
    numbers = dict(re.match(r"\s*(\D.*?)\s{2,}(\d.*)", line).groups() for line in lines[3:11])
    assert numbers["registers a thread"].split() == ["32", "255"]
    assert numbers["spilled, bytes a thread"].split() == ["0", "1128"]
    assert numbers["asynchronous copies, 16 bytes"].split() == ["2", "0"]
    assert numbers["spill loads and stores"].split() == ["0", "3"]
    assert "mine.py:12  a = tl.load(x)" in lines
    assert "unaligned: 16 of 18 lines of ptx: 16 ld.global.b16" in lines and "    … and 8 more" in lines


def test_another_target_shows_the_assembly_it_has():
    amd = "\t.loc\t1 12 4 ; mine.py:12:4\n\tglobal_load_dword v1, v0, s[0:1]\n"
    explorer = explore_ir({"sm_90": report(), "gfx942": report("gfx942", amd)})
    left, right = explorer.data(stage="ptx").sides
    assert (left.stage, right.stage) == ("ptx", "amdgcn")
    assert right.operations("mine.py:12") == [("global_load_dword", 1)]
    assert explorer.still().png


def test_one_report_is_enough():
    explorer = explore_ir({"mine": report()})
    assert len(explorer.data().sides) == 1 and explorer.still().png
    assert "mine: copy for sm_90" in explorer.text()


def test_picking_moves_picture_and_code_and_everything_is_escaped(pair):
    panel = widgets.ir_explorer(pair)
    panel.control["line"].value = "mine.py:13"
    code, shown = panel.readout.value, bytes(panel.image.value)
    assert html.escape("st.global.b32  [ %rd2 ], <%f2>;") in code and "<%f2>" not in code
    panel.control["line"].value = "mine.py:12"
    assert panel.readout.value.count("ld.global.b16") == 16 + 1 and bytes(panel.image.value) != shown
    panel.control["stage"].value = "ttir"
    assert "tt.load" in panel.readout.value
    panel.control["left"].value = "unaligned"
    assert len(panel.data.sides) == 1
    labels = [control.description for control in panel.control.values()]
    assert labels == [
        "Left (compilation)",
        "Right (compilation)",
        "Stage (ttir first, sass last)",
        "Source line (number, code)",
    ]
    assert page(panel.data).count("<pre") == 1


@pytest.mark.parametrize(
    ("stage", "text", "want"),
    [
        ("ttir", "%acc_98 = tt.dot %acc_97, %v, %acc_96 : tensor<128x64xbf16>", "tt.dot"),
        ("ttir", '%s:2 = "tt.reduce"(%x) <{axis = 1 : i32}> ({', "tt.reduce"),
        ("ttir", "tt.store %out, %b : tensor<128x!tt.ptr<f32>>", "tt.store"),
        ("llir", "%5 = tail call i32 @llvm.nvvm.read.ptx.sreg.tid.x()", "llvm.nvvm.read.ptx.sreg.tid.x"),
        ("llir", "%7 = fadd float %1, %2", "fadd"),
        ("ptx", "@%p9 bra \t$L__BB0_3;", "bra"),
        ("ptx", "@!%p9 st.global.b32 [ %rd1 ], %r1;", "st.global.b32"),
        ("ptx", "{ ex2.approx.ftz.f32 %f1, %f2; }", "ex2.approx.ftz.f32"),
        ("sass", "/*2370*/  HGMMA.64x64x16.F32.BF16 R88, gdesc[UR8], R88 ;", "HGMMA.64x64x16.F32.BF16"),
        ("sass", "/*2380*/  @!P0 LDG.E R3, desc[UR4][R2.64] ;", "LDG.E"),
        ("sass", "/*2380*/  @!UPT UIADD3 UR4, UR4, UR4, URZ ;", "UIADD3"),
        ("amdgcn", "v_mfma_f32_32x32x8_bf16_1k a[0:15], v[2:3], v[4:5], a[0:15]", "v_mfma_f32_32x32x8_bf16_1k"),
    ],
)
def test_an_operation_is_called_by_its_name(stage, text, want):
    assert operation(stage, text) == want


def test_without_triton_it_says_so_unless_reports_are_given(pair, monkeypatch):
    def absent():
        raise Unsupported("kernels cannot be compiled here: Triton is not installed; inspect them on Linux.")

    monkeypatch.setattr("minillm.kernels.inspect.require_triton", absent)
    shown = widgets.ir_explorer()
    assert "Triton is not installed" in repr(shown) and shown.png
    assert widgets.ir_explorer(pair).data.picked == "mine.py:12"


def test_without_ipywidgets_it_is_a_picture(pair, monkeypatch):
    monkeypatch.setattr(ir_compare, "live_widgets_available", lambda: False)
    still = widgets.ir_explorer(pair)
    assert still.png and "pip install ipywidgets" in repr(still) and "ttir" in still.explorer.text(stage="ttir")


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        ("alignement", InvalidValue, "did you mean 'alignment'"),
        ({}, InvalidValue, "nothing to explore"),
        ({"a": 3}, InvalidType, "a must be a Report; got int"),
    ],
)
def test_bad_requests_are_refused(what, error, message):
    with pytest.raises(error, match=message):
        widgets.ir_explorer(what)


@pytest.mark.skipif(mode().name == "absent", reason="Triton is absent")
def test_without_alignment_the_asynchronous_copies_of_flash_attention_vanish():
    data = explore_ir("alignment").data()
    counters = dict(data.counters)
    wide, narrow = counters["asynchronous copies, 16 bytes"]
    assert wide > 0 and narrow == 0
    assert counters["global loads"][1] > 10 * counters["global loads"][0]
    assert "tl.load" in data.source[data.picked]
    assert any(name.startswith("cp.async.cg") for name, _ in data.sides[0].operations(data.picked))
