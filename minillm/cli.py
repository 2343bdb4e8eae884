"""The `minillm` command: a thin door on the rooms.

Every subcommand fetches its room when it is called, so `minillm --help` is instant. What we refuse is said in one line;
a traceback from here is a bug.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import subprocess
import sys
from pathlib import Path

from minillm.errors import FileProblem, MinillmError, rule_numbers_remedy


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status: 0, 1 when a grade or a benchmark fails, 2 for a refusal, 130 for Ctrl-C."""
    options = _parser().parse_args(arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a console that lacks a character shows a mark, not a traceback
    try:
        status = options.run(options)
        sys.stdout.flush()
        return int(status or 0)
    except MinillmError as problem:
        print(f"minillm: {problem}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(file=sys.stderr)
        return 130
    except BrokenPipeError:
        # The reader (head, less) has gone; give the interpreter's last flush somewhere to write.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="minillm", description="How LLM inference works, down to the GPU kernel.")
    commands = parser.add_subparsers(required=True, metavar="command")
    _add_doctor(commands)
    _add_generate(commands)
    _add_inspect(commands)
    _add_lesson(commands)
    _add_grade(commands)
    _add_bench(commands)
    return parser


def _add_doctor(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("doctor", help="what this machine can and cannot tell you")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--quick", action="store_true", help="leave out the self-tests")
    parser.set_defaults(run=_doctor)


def _add_generate(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("generate", help="continue a text, token by token")
    parser.add_argument("prompt")
    parser.add_argument("--model", default="tiny", help="tiny, a folder, or a hub id (default: %(default)s)")
    parser.add_argument("--max-tokens", type=int, default=128, help="(default: %(default)s)")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 is greedy (default: %(default)s)")
    parser.add_argument("--top-k", type=int, help="sample from the k most likely tokens")
    parser.add_argument("--top-p", type=float, default=1.0, help="sample from this much probability")
    parser.add_argument("--seed", type=int, help="the same seed writes the same text")
    parser.add_argument("--stop", action="append", help="end before this text; may be given more than once")
    parser.set_defaults(run=_generate)


def _add_inspect(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser(
        "inspect", help="compile a kernel for a GPU you need not have, and see what became of it"
    )
    parser.add_argument("kernel", help="flash_attention, flash_backward, softmax, matmul …")
    parser.add_argument("--target", action="append", help="sm_90, gfx942 …; may be given more than once (default: all)")
    parser.add_argument("--dtype", default="bf16", help="fp16, bf16 or fp32 (default: %(default)s)")
    parser.add_argument("--head-dim", type=int, default=128, help="head width D, for attention (default: %(default)s)")
    parser.add_argument("--causal", action="store_true", help="mask the future, for attention")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--stage", help="print this stage's text: ttir, ttgir, llir, ptx, sass or amdgcn")
    shown.add_argument("--json", action="store_true", help="print JSON: a list of reports, every stage's text included")
    parser.set_defaults(run=_inspect)


def _add_lesson(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("lesson", help="list the lessons, or make a fresh copy of one in my_work/")
    parser.add_argument("number", nargs="?", help="for example 01")
    parser.set_defaults(run=_lesson)


def _add_grade(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("grade", help="run a learner's notebook and report its checks")
    parser.add_argument("notebook", type=Path)
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--timeout", type=float, default=600.0, metavar="SECONDS", help="(default: %(default)s)")
    parser.add_argument("--memory", type=int, default=8192, metavar="MB", help="(default: %(default)s)")
    parser.set_defaults(run=_grade)


def _add_bench(commands: argparse._SubParsersAction) -> None:
    parser = commands.add_parser("bench", help="measure this machine and write a record (from a checkout)")
    parser.add_argument("names", nargs="*", help="engine, operators, …; all by default")
    parser.add_argument("--quick", action="store_true", help="a first look: fewer shapes")
    parser.add_argument("--out", type=Path, help="folder for the records (default: with the others)")
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument(
        "--table", type=Path, metavar="RECORD", help="measure nothing: print a record as Markdown tables"
    )
    shown.add_argument("--compare", type=Path, nargs=2, metavar="RECORD", help="measure nothing: print what changed")
    parser.set_defaults(run=_bench)


def _doctor(options: argparse.Namespace) -> None:
    from minillm import lab

    report = lab.doctor(quick=options.quick)
    print(_json_text(report) if options.json else report)


def _generate(options: argparse.Namespace) -> None:
    import minillm as ml

    params = ml.SamplingParams(
        max_tokens=options.max_tokens,
        temperature=options.temperature,
        top_k=options.top_k,
        top_p=options.top_p,
        seed=options.seed,
        stop=options.stop,
    )
    text = options.prompt
    for piece in ml.LLM(options.model).stream(options.prompt, params):
        print(text + piece.text, end="", flush=True)
        text = ""
    print(text)


def _inspect(options: argparse.Namespace) -> None:
    from minillm.kernels import inspect
    from minillm.kernels.named_calls import named_call

    call = named_call(options.kernel, dtype=options.dtype, head_dim=options.head_dim, causal=options.causal)
    jobs = [job for target in options.target or inspect.TARGETS for job in inspect.call_jobs(call, target=target)]
    reports = inspect.all_or_raise(jobs)
    if options.json:
        print(json.dumps([report.to_json() for report in reports], indent=2, ensure_ascii=False))
    else:
        print("\n\n".join(report.stage(options.stage) if options.stage else str(report) for report in reports))


def _lesson(options: argparse.Namespace) -> None:
    from minillm.lab import lessons

    if options.number:
        print(os.path.relpath(lessons.fresh_copy(options.number)))
        return
    for path in lessons.find_lessons():
        print(path.stem)


def _grade(options: argparse.Namespace) -> int:
    from minillm.lab.grading.grade import grade_notebook

    report = grade_notebook(options.notebook, timeout_s=options.timeout, memory_mb=options.memory)
    print(_json_text(report) if options.json else report)
    return 0 if report.passed else 1


def _bench(options: argparse.Namespace) -> int:
    from minillm.lab.lessons import checkout
    from minillm.measure.run import writable_folder

    if options.table or options.compare:
        return _show_records(options)
    # A benchmark is a script, or a folder of files with one that begins.
    folder = checkout() / "benchmarks"
    places = [*folder.glob("*.py"), *(path.parent for path in folder.glob("*/__main__.py"))]
    known = {path.stem: path for path in sorted(places)}
    missing = [name for name in options.names if name not in known]
    if missing:
        raise FileProblem(rule_numbers_remedy("no such benchmark", ", ".join(missing), f"known: {', '.join(known)}"))
    if options.out is not None:
        writable_folder(options.out)
    # -P keeps the checkout off sys.path, where its folder `kernels` would pass for Hugging Face's package.
    scripts = [[sys.executable, "-P", str(known[name])] for name in options.names or known]
    extras = ["--quick"] * options.quick + ([] if options.out is None else ["--out", str(options.out)])
    statuses = [subprocess.run([*script, *extras], check=False).returncode for script in scripts]
    return int(any(statuses))  # a script that a signal ended has a status below zero, which a maximum would hide


def _show_records(options: argparse.Namespace) -> int:
    from minillm.lab.record_rows import compare_records, markdown_table, select_rows
    from minillm.measure import load_record

    if options.compare:
        print(compare_records(*map(load_record, options.compare)))
        return 0
    record = load_record(options.table)
    for operator in dict.fromkeys(case.operator for case in (*record.measurements, *record.untimed)):
        print(f"## {operator}\n\n{markdown_table(select_rows(record, operator))}\n")
    return 0


def _json_text(report: object) -> str:
    """A report's own JSON: `to_json()` may give text, or plain values to be written as text."""
    value = report.to_json()  # type: ignore[attr-defined]
    return value if isinstance(value, str) else json.dumps(value, indent=2, ensure_ascii=False)


if __name__ == "__main__":
    sys.exit(main())
