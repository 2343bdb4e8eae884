"""Kernels are compiled for GPUs that nobody has, in another process, and what is reported about them is so."""

import dataclasses
import importlib.util
import json
import linecache
import os
import types
from pathlib import Path

import pytest
import torch

pytest.importorskip("triton")

import sample_kernels

import minillm as ml
from minillm.cli import main
from minillm.errors import InvalidType, InvalidValue, Unsupported
from minillm.kernels import compiling, inspect, shipping
from minillm.kernels.assembly import Resources, count_instructions, read_resources
from minillm.kernels.runtime import launch
from minillm.kernels.runtime import tl as language
from minillm.kernels.runtime import triton as compiler
from minillm.kernels.shipping import pack


@pytest.fixture(scope="module", autouse=True)
def cold_cache(tmp_path_factory):
    """Nothing compiled before is known, and nothing is left behind."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRITON_CACHE_DIR", str(tmp_path_factory.mktemp("triton")))
        yield


def matrices(dtype=torch.bfloat16, device="meta"):
    return [torch.empty(64, 512, dtype=dtype, device=device) for _ in range(3)]


def product_job(target, **changes):
    options = {"target": target, "BLOCK": 64, "num_stages": 3} | changes
    return inspect.kernel_job(sample_kernels.product, *matrices(), 512, 512, **options)


@pytest.fixture(scope="module")
def reports(cold_cache):
    """One report a target, and two variants for sm_90: nothing aligned, and eight warps."""
    jobs = {target: product_job(target) for target in inspect.TARGETS}
    jobs |= {"unaligned": product_job("sm_90", aligned=False), "wide": product_job("sm_90", num_warps=8)}
    return dict(zip(jobs, inspect.compile_many(list(jobs.values())), strict=True))


@pytest.mark.parametrize("target", inspect.TARGETS)
def test_every_target_reports_every_stage(reports, target):
    report = reports[target]
    amd = target.startswith("gfx")
    assert list(report.stages) == ["ttir", "ttgir", "llir"] + (["amdgcn"] if amd else ["ptx", "sass"])
    assert report.kernel == "product" and report.target == target and report.fits
    assert report.config == {"num_warps": 4, "num_stages": 3, "BLOCK": 64}
    assert 16 < report.registers <= (512 if amd else 255)
    assert report.shared_bytes >= 64 * 64 * 2 and report.compile_seconds > 0


@pytest.mark.parametrize(
    "target, unit",
    [("sm_80", "mma_sync"), ("sm_90", "wgmma"), ("sm_100", "tcgen05_mma"), ("sm_120", "mma_sync"), ("gfx942", "mfma")],
)
def test_each_architecture_multiplies_with_its_own_instruction(reports, target, unit):
    used = {name for name in ("mma_sync", "wgmma", "tcgen05_mma", "mfma") if reports[target].instructions.get(name)}
    assert used == {unit}
    assert reports[target].matrix_instructions == reports[target].instructions[unit]


@pytest.mark.parametrize("target", ["sm_80", "sm_90", "sm_100", "sm_120"])
def test_the_disassembly_and_the_ptx_count_the_same(reports, target):
    report = reports[target]
    ptx = report.stages["ptx"]
    assert report.instructions["async_copy_16"] == ptx.count("cp.async.cg.shared.global") > 0
    assert report.instructions["ex2"] == ptx.count("ex2.approx")
    if target == "sm_90":
        assert report.instructions["wgmma"] == ptx.count("wgmma.mma_async")
    if target in ("sm_80", "sm_120"):
        assert report.instructions["mma_sync"] == ptx.count("mma.sync.aligned")


def test_spills_are_seen_both_by_the_assembler_and_in_the_disassembly(reports):
    for report in reports.values():
        moved = report.instructions.get("local_load", 0) + report.instructions.get("local_store", 0)
        assert (report.spill_bytes > 0) == (moved > 0), report


def test_instructions_are_told_apart():
    sass = """\
        /*0000*/              @!P0 LDGSTS.E.BYPASS.LTC128B.128 [R1], desc[UR4][R2.64] ;
        /*0010*/                   LDGSTS.E.LTC128B.64 [R1], desc[UR4][R2.64] ;
        /*0020*/                   LDGDEPBAR ;
        /*0030*/             @UP1 UTMALDG.2D [UR4], [UR6] ;
        /*0040*/                   LDG.E.128 R4, desc[UR4][R2.64] ;
        /*0050*/                   LDSM.16.M88.4 R4, [R8] ;
        /*0060*/                   HMMA.16816.F32.BF16 R4, R8, R12, R4 ;
        /*0070*/                   HGMMA.64x64x16.F32 R24, gdesc[UR4], !UPT ;
        /*0080*/                   UTCHMMA gdesc[UR4], gdesc[UR6], tmem[UR8] ;
        /*0090*/                   STL.64 [R1], R2 ;
        /*00a0*/                   LDL R2, [R1] ;"""
    amd = """\
\tbuffer_load_dwordx4 v[0:3], v4, s[0:3], 0 offen
\tbuffer_load_dwordx4 v4, s[0:3], 0 offen lds
\tglobal_load_dwordx4 v[0:3], v4, s[0:1]
\tv_mfma_f32_32x32x8_bf16 v[0:15], v[16:17], v[18:19], v[0:15]
\tscratch_store_dword off, v1, s32"""
    found = {name: n for name, n in count_instructions({"sass": sass}).items() if n}
    once = "async_copy_16 async_copy_small tma_load global_load shared_load mma_sync wgmma tcgen05_mma local_store local_load"
    assert found == dict.fromkeys(once.split(), 1)
    found = {name: n for name, n in count_instructions({"amdgcn": amd}).items() if n}
    assert found == {"async_copy_16": 1, "global_load": 2, "mfma": 1, "local_store": 1}


def test_spills_are_stores_and_loads_of_all_functions():
    log = """\
    16 bytes stack frame, 12 bytes spill stores, 20 bytes spill loads
ptxas info    : Used 96 registers, used 1 barriers
    0 bytes stack frame, 4 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 40 registers"""
    assert read_resources({"sass": ""}, log) == Resources(96, 36)
    assert read_resources({"amdgcn": "  .vgpr_count:     300\n  .vgpr_spill_count: 3\n"}, "") == Resources(300, 12)


def test_without_alignment_the_wide_copies_vanish(reports):
    aligned, unaligned = reports["sm_90"], reports["unaligned"]
    assert aligned.wide_async_copies > 0 and unaligned.wide_async_copies == 0
    assert unaligned.instructions["global_load"] > 8 * aligned.instructions["global_load"]
    assert unaligned.shared_bytes < aligned.shared_bytes
    assert "tt.divisibility" in aligned.stages["ttir"] and "tt.divisibility" not in unaligned.stages["ttir"]


def test_more_warps_hold_fewer_registers_each(reports):
    assert reports["wide"].registers < reports["sm_90"].registers
    assert reports["wide"].config["num_warps"] == 8


@pytest.mark.parametrize("stage", ["ttir", "ttgir", "llir", "ptx", "sass"])
def test_an_instruction_knows_its_line(reports, stage):
    report = reports["sm_80"]
    marks = {"ttir": "tt.dot ", "ttgir": "tt.dot ", "llir": "mma.sync", "ptx": "mma.sync", "sass": "HMMA"}
    places = {place for place, text in report.lines(stage) if marks[stage] in text}
    assert {report.source[place].strip() for place in places} == {"acc = tl.dot(a, b, acc, input_precision=PRECISION)"}


@pytest.mark.parametrize("target, stage, mark", [("gfx942", "amdgcn", "v_exp_f32"), ("sm_90", "sass", "MUFU.EX2")])
def test_a_helper_knows_its_own_line_and_tritons_helpers_their_caller(reports, target, stage, mark):
    report = reports[target]
    lines = report.lines(stage)
    written = {report.source[place].strip() for place, text in lines if mark in text}
    assert written == {"return tl.exp2(x * BASE)"}
    assert any(place and "tl.max(acc, 1)" in report.source[place] for place, _ in lines)
    assert not any(".loc" in text or "//## File" in text for _, text in lines)


def test_a_report_prints_and_becomes_json(reports):
    report = reports["sm_90"]
    plain = json.loads(json.dumps(report.to_json()))
    assert plain["registers"] == report.registers and set(plain["stages"]) == set(report.stages)
    assert plain["occupancy"]["programs"] == report.occupancy.programs
    assert "sm_90 (H100, H200)" in str(report) and f"{report.shared_bytes:,} of 232,448" in str(report)
    assert report._repr_html_().count("<tr>") == len(report.rows())
    too_much = dataclasses.replace(report, shared_bytes=report.shared_limit + 1)
    assert not too_much.fits and "232,449 of 232,448: does not fit" in str(too_much)


def test_arguments_are_specialised_as_a_launch_would(reports):
    x = torch.empty(1000, device="meta")
    odd = torch.empty(1001, device="meta")[1:]
    shapes = {"none": (x, x, 1000, None), "one": (x, x, 1, x), "sixteen": (x, odd, 1024, x)}
    jobs = [inspect.kernel_job(sample_kernels.masked_copy, *a, target="sm_80", BLOCK=64) for a in shapes.values()]
    texts = dict(zip(shapes, (report.stages["ttir"] for report in inspect.compile_many(jobs)), strict=True))
    heads = {name: next(line for line in text.splitlines() if "tt.func" in line) for name, text in texts.items()}
    assert "%extra_ptr" not in heads["none"] and "%n: i32 loc" in heads["none"]
    assert "%n" not in heads["one"]
    assert "%n: i32 {tt.divisibility = 16" in heads["sixteen"]
    assert (
        "%x_ptr: !tt.ptr<f32> {tt.divisibility = 16" in heads["sixteen"]
        and "%y_ptr: !tt.ptr<f32> loc" in heads["sixteen"]
    )


def copy_twice(x, config):
    """A host wrapper of the kind our kernels have."""
    y = torch.empty_like(x)
    for _ in range(2):
        launch(
            sample_kernels.masked_copy, (4,), x, y, x.numel(), None,
            BLOCK=64, num_warps=config, tile_steps=lambda: 4, smaller=lambda limit: "fewer",
        )  # fmt: skip
    return y


def test_a_call_is_compiled_launch_by_launch():
    first, second = inspect.compile_call(copy_twice, torch.empty(256, device="meta"), config=2, target="gfx942")
    assert first == second
    assert first.config == {"num_warps": 2, "num_stages": 1, "BLOCK": 64} and first.target == "gfx942"


CELL = """\
WIDTH = tl.constexpr(16)

def times(factor):
    @triton.jit
    def scale(x_ptr):
        offs = tl.arange(0, WIDTH)
        tl.store(x_ptr + offs, double(tl.load(x_ptr + offs)) * factor)
    return scale

@triton.jit
def double(x):
    return x * 2.0
"""


def test_a_kernel_of_a_notebook_cell_keeps_its_lines():
    name = "/tmp/ipykernel_1/42.py"  # where Jupyter says a cell lies; there is no such file
    cell = types.ModuleType("__main__")
    cell.__dict__.update(tl=language, triton=compiler)
    linecache.cache[name] = (len(CELL), None, CELL.splitlines(keepends=True), name)
    exec(compile(CELL, name, "exec"), cell.__dict__)
    report = inspect.compile_kernel(cell.times(language.constexpr(3.0)), torch.empty(16, device="meta"), target="sm_90")
    assert {(place.file, place.line) for place in report.source} == {(name, line) for line in (4, 5, 6, 7, 10, 11, 12)}
    places = {place.line for place, text in report.lines("ttir") if place and "tt.load" in text}
    assert places == {7}
    assert "dense<3.0" in report.stages["ttir"] or "3.000000e+00" in report.stages["ttir"]


def test_interpreting_goes_on_undisturbed():
    x, y = torch.arange(100.0), torch.zeros(100)
    before = os.environ.get("TRITON_INTERPRET")
    with ml.count() as counted:
        sample_kernels.masked_copy[(2,)](x, y, 100, None, BLOCK=64)
        inspect.compile_kernel(sample_kernels.masked_copy, x, y, 100, None, BLOCK=64, target="sm_120")
        sample_kernels.masked_copy[(2,)](x, y, 100, x[5:], BLOCK=64)
    assert os.environ.get("TRITON_INTERPRET") == before
    assert torch.equal(y, x + 5)
    assert (counted.bytes_loaded, counted.bytes_stored) == (2 * 400 + 2 * 4, 2 * 400)


def test_a_second_time_costs_nothing(reports, monkeypatch):
    monkeypatch.setattr(compiling.subprocess, "Popen", None)  # nothing may be started
    assert inspect.compile_many([product_job("sm_90")]) == [reports["sm_90"]]


def test_whatever_a_kernel_depends_on_makes_it_another(monkeypatch):
    names = {
        compiling.fingerprint(product_job(t, **c)) for t, c in [("sm_90", {}), ("sm_80", {}), ("sm_90", {"BLOCK": 32})]
    }
    monkeypatch.setattr(sample_kernels, "BASE", language.constexpr(3.0))
    names.add(compiling.fingerprint(product_job("sm_90")))
    monkeypatch.setenv("TRITON_PTXAS_PATH", "/elsewhere")
    names.add(compiling.fingerprint(product_job("sm_90")))
    assert len(names) == 5


def test_the_same_kernel_in_another_checkout_is_the_same(reports, tmp_path, monkeypatch):
    here, checkout = compiling.fingerprint(product_job("sm_90")), shipping.HOME
    place = Path(sample_kernels.__file__).relative_to(checkout)
    (tmp_path / place).parent.mkdir(parents=True)
    (tmp_path / place).write_bytes(Path(sample_kernels.__file__).read_bytes())
    spec = importlib.util.spec_from_file_location("sample_kernels", tmp_path / place)
    twin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(twin)
    monkeypatch.setitem(globals(), "sample_kernels", twin)
    assert compiling.fingerprint(product_job("sm_90")) != here  # lies nowhere yet
    monkeypatch.setattr(shipping, "HOME", tmp_path)
    assert compiling.fingerprint(product_job("sm_90")) == here
    # Triton may lie inside the checkout, and its own functions say where.
    assert not any(str(checkout / place) in text for report in reports.values() for text in report.stages.values())


def test_a_kernel_that_does_not_compile_says_why():
    with pytest.raises(InvalidValue, match=r"nonsense does not compile for sm_90(.|\n)*undefined_name"):
        inspect.compile_kernel(sample_kernels.nonsense, torch.empty(16, device="meta"), BLOCK=16, target="sm_90")
    with pytest.raises(InvalidValue, match="BLOCK"):
        inspect.compile_kernel(sample_kernels.nonsense, torch.empty(16, device="meta"), target="sm_90")


def test_a_dying_compiler_takes_nobody_with_it():
    x = torch.empty(16, device="meta")
    jobs = [
        inspect.kernel_job(sample_kernels.fatal, x, target="sm_80"),
        inspect.kernel_job(sample_kernels.masked_copy, x, x, 16, None, BLOCK=16, target="sm_80"),
    ]
    dead, alive = inspect.compile_many(jobs)
    assert isinstance(dead, InvalidValue) and "SIGKILL" in str(dead)
    assert alive.kernel == "masked_copy"


def test_an_endless_compiler_is_stopped():
    job = inspect.kernel_job(sample_kernels.endless, torch.empty(16, device="meta"), target="sm_80")
    (answer,) = compiling.answer_all([job], timeout_s=0.5)
    assert not answer["ok"] and "no answer after 0.5 s" in answer["error"]


def test_unknown_names_are_answered_with_the_nearest(reports):
    with pytest.raises(InvalidValue, match=r"unknown target 'sm90' \(did you mean 'sm_90'\?\)"):
        inspect.compile_call(copy_twice, torch.empty(4), config=1, target="sm90")
    with pytest.raises(InvalidValue, match=r"unknown target 'h100'"):
        inspect.kernel_job(sample_kernels.masked_copy, target="h100")
    with pytest.raises(InvalidValue, match=r"unknown stage for gfx942 'ptx'(.|\n)*amdgcn"):
        reports["gfx942"].stage("ptx")


def test_what_is_no_kernel_or_cannot_travel_is_refused():
    with pytest.raises(InvalidType, match="takes a Triton kernel; got int"):
        pack(3, (), {}, tensor=lambda t: t)
    with pytest.raises(InvalidType, match="got set"):
        pack(sample_kernels.masked_copy, ({1},), {}, tensor=lambda t: t)


def test_without_triton_it_says_why(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(Unsupported, match="cannot be compiled here: Triton is not installed"):
        inspect.compile_kernel(sample_kernels.masked_copy, target="sm_90")


def inspected(capsys, *arguments):
    """`minillm inspect …` -> (status, standard output, standard error)."""
    status = main(["inspect", *arguments])
    return status, *capsys.readouterr()


def test_the_command_shows_a_table_a_stage_or_everything(capsys):
    status, text, _ = inspected(capsys, "softmax", "--target", "sm_90", "--target", "gfx942")
    assert status == 0
    assert text.count("softmax_resident") == 2 and "sm_90 (H100, H200)" in text and "gfx942 (MI300X)" in text
    _, text, _ = inspected(capsys, "softmax", "--target", "sm_90", "--stage", "ptx")
    assert ".target sm_90a" in text
    _, text, _ = inspected(capsys, "softmax", "--target", "gfx942", "--json")
    (report,) = json.loads(text)
    assert report["target"] == "gfx942" and "v_exp_f32" in report["stages"]["amdgcn"] and report["source"]


def test_the_command_refuses_in_one_line(capsys):
    for arguments, said in [
        (["flash_atention"], "unknown kernel 'flash_atention' (did you mean 'flash_attention'?)"),
        (["softmax", "--dtype", "fp64"], "unknown dtype 'fp64'"),
        (["softmax", "--target", "sm_9"], "unknown target 'sm_9' (did you mean 'sm_90'?)"),
        (["softmax", "--target", "sm_90", "--stage", "amdgcn"], "unknown stage for sm_90 'amdgcn'"),
        (["flash_attention", "--head-dim", "512", "--target", "sm_90"], "head widths D up to 256"),
    ]:
        status, text, problem = inspected(capsys, *arguments)
        assert status == 2 and not text and problem.startswith("minillm: ") and said in problem
