"""The IR explorer as a widget: which compilations to compare, which stage, which source line.

Without reports of one's own it compiles flash attention twice, so that one change can be watched: alignment withheld, half
the warps, another GPU. Compiling happens in a child process, without a GPU, and is remembered on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from minillm.errors import InvalidType, InvalidValue, MinillmError, rule_numbers_remedy, unknown_name
from minillm.lab import figures
from minillm.lab.widgets.base import STILL_NOTE, Choice, Explorer, State, Still, live_widgets_available
from minillm.lab.widgets.ir_picture import draw_view
from minillm.lab.widgets.ir_view import STAGES, IRView, describe_view, lines_with_code, make_view, most_changed, written

if TYPE_CHECKING:
    from minillm.kernels.report import Report
    from minillm.lab.widgets.ir_panel import IRPanel

CODE_SHOWN = 60


def ir_explorer(what: str | Mapping[str, Report] = "alignment") -> IRPanel | Still | figures.Picture:
    """ "alignment", "warps" or "targets", or reports by name -> a widget: source line, TTIR, PTX and counters, side by side.

    Reports come from `minillm.kernels.inspect`: `compile_kernel` for a kernel of your own. Raises InvalidValue for an
    unknown comparison or no report, InvalidType for what is no report. Where Triton is absent, and no reports are given,
    it is a picture that says so.
    """
    if isinstance(what, str) and (absent := _why_absent(what)):
        return figures.picture(_say(absent), absent)
    explorer = explore_ir(what)
    if not live_widgets_available():
        still = explorer.still()
        return Still(still.png, f"{still.text}\n{STILL_NOTE}", explorer)
    from minillm.lab.widgets.ir_panel import IRPanel

    return IRPanel(explorer)


def explore_ir(what: str | Mapping[str, Report] = "alignment") -> Explorer[IRView]:
    """The same without the controls: `.data(stage="ttir")`, `.text(line="flash_attention.py:73")`, `.still(...)`."""
    reports = compile_pair(what) if isinstance(what, str) else dict(what)
    for name, report in reports.items():
        if not all(hasattr(report, needed) for needed in ("stages", "source", "lines", "instructions")):
            rule = f"{name} must be a Report"
            raise InvalidType(rule_numbers_remedy(rule, type(report).__name__, "use minillm.kernels.inspect"))
    places = lines_with_code(reports) if reports else []
    if not places:
        raise InvalidValue("there is nothing to explore: no report, or none that knows its source lines.")
    names, source = tuple(reports), written(reports)
    stages = tuple(stage for stage in STAGES if any(stage in report.stages for report in reports.values()))
    left, right = names[0], names[1 % len(names)]
    wanted = COMPARISONS[what].stage if isinstance(what, str) else "ptx"
    start = wanted if wanted in stages else stages[-1]
    controls = (
        Choice("left", "Left", "compilation", names, left),
        Choice("right", "Right", "compilation", names, right),
        Choice("stage", "Stage", "ttir first, sass last", stages, start),
        Choice("line", "Source line", "number, code", tuple(places), most_changed(reports, left, right, start),
               tuple(_option(place, source[place]) for place in places)),
    )  # fmt: skip

    def compute(state: State) -> IRView:
        return make_view(reports, state["left"], state["right"], state["stage"], state["line"])

    return Explorer("IR explorer", controls, compute, draw_view, describe_view)


def _option(place: str, code: str) -> str:
    code = code.strip()
    return f"{place.rpartition(':')[2]}  {code if len(code) <= CODE_SHOWN else code[: CODE_SHOWN - 1] + '…'}"


def compile_pair(name: str) -> dict[str, Report]:
    """The name of a comparison -> its reports by name, compiled now or read from disk.

    Raises InvalidValue for an unknown name, Unsupported where Triton is absent.
    """
    from minillm.kernels.inspect import all_or_raise

    if name not in COMPARISONS:
        raise unknown_name("comparison", name, COMPARISONS)
    jobs = COMPARISONS[name].jobs()
    return dict(zip(jobs, all_or_raise(list(jobs.values())), strict=True))


def _flash_job(target: str = "sm_90", **options: Any) -> Any:
    """Causal flash attention, B 1, L = S 4096, H 32, G 8, D 128, in bfloat16, for a target."""
    import torch

    from minillm.kernels.flash_attention import flash_attention
    from minillm.kernels.inspect import call_jobs

    q, k, v = (torch.empty(1, 4096, heads, 128, dtype=torch.bfloat16, device="meta") for heads in (32, 8, 8))
    [job] = call_jobs(flash_attention, q, k, v, causal=True, target=target, **options)
    return job


def _alignment() -> dict[str, Any]:
    return {"aligned": _flash_job(), "unaligned": _flash_job(aligned=False)}


def _warps() -> dict[str, Any]:
    from minillm.kernels.flash_attention import Tiles

    return {f"{warps} warps": _flash_job(tiles=Tiles(128, 64, warps, 3)) for warps in (8, 4)}


def _targets() -> dict[str, Any]:
    return {target: _flash_job(target) for target in ("sm_90", "sm_80", "gfx942")}


@dataclass(frozen=True)
class PreparedComparison:
    """What to compile, by name, and the stage that shows the difference."""

    jobs: Callable[[], dict[str, Any]]
    stage: str


COMPARISONS: Mapping[str, PreparedComparison] = {
    "alignment": PreparedComparison(_alignment, "ptx"),
    "warps": PreparedComparison(_warps, "sass"),  # spills are the assembler's doing, after PTX
    "targets": PreparedComparison(_targets, "ptx"),
}


def _why_absent(name: str) -> str:
    from minillm.kernels.inspect import require_triton

    if name not in COMPARISONS:
        raise unknown_name("comparison", name, COMPARISONS)
    try:
        require_triton()
    except MinillmError as refusal:
        return str(refusal)
    return ""


def _say(sentence: str) -> Any:
    import textwrap

    fig = figures.figure("IR explorer", height=1.6)
    fig.axes[0].set_axis_off()
    fig.axes[0].text(0.0, 0.5, textwrap.fill(sentence, 80), fontsize=11, va="center", parse_math=False)
    return fig
