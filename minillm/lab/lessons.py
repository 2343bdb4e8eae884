"""The lessons as files: found, copied for the learner, run and cleaned for git.

You work on copies, in `my_work/`, so that solving an exercise never dirties the repository. The stored lessons are
executed by one command, in the same environment that the tests use, and stamped with a hash of their own text: a lesson
edited and not run again is caught by a test.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import json
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from minillm.errors import FileProblem, InvalidValue, rule_numbers_remedy

# What every stored lesson is run under, by `make lessons` and by the tests: no GPU (stored outputs are the CPU's), no
# prediction ledger, no network, one thread and one hash seed, so that two runs print the same bytes.
LESSON_ENVIRONMENT = {
    "CUDA_VISIBLE_DEVICES": "",
    "HIP_VISIBLE_DEVICES": "",
    "MINILLM_LEDGER": "off",
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "PYTHONHASHSEED": "0",
}

CELL_TIMEOUT_SECONDS = 120
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"
KEPT_CELL_METADATA = ("tags",)
LESSON_NAME = re.compile(r"\d\d_\w+\.ipynb")


def checkout() -> Path:
    """The folder of the repository this package runs from. Raises FileProblem when it is not a checkout."""
    root = Path(__file__).resolve().parents[2]
    if not (root / "notebooks").is_dir():
        raise FileProblem(
            rule_numbers_remedy(
                "the lessons live in a checkout of the repository",
                f"a package installed in {root}",
                "clone the repository and install it with: pip install -e .",
            )
        )
    return root


def find_lessons(folder: Path | None = None) -> list[Path]:
    """The stored lessons, `NN_name.ipynb`, in order."""
    folder = folder or checkout() / "notebooks"
    return sorted(path for path in folder.glob("*.ipynb") if LESSON_NAME.fullmatch(path.name))


def find_lesson(number: str | int, folder: Path | None = None) -> Path:
    """The stored lesson with this number: 3, "3", "03" or "03_online_softmax". Raises InvalidValue if there is none."""
    lessons = find_lessons(folder)
    text = str(number).removesuffix(".ipynb")
    wanted = f"{int(text):02d}" if text.isdecimal() else text
    for path in lessons:
        if wanted in (path.name[:2], path.stem):
            return path
    known = ", ".join(path.stem for path in lessons) or "none yet"
    raise InvalidValue(rule_numbers_remedy("a lesson is named by its number", repr(number), f"known: {known}"))


def copy_lessons(work: Path | None = None, folder: Path | None = None) -> list[Path]:
    """Copy every lesson that `work` does not hold yet, and return the new files. Nothing is ever overwritten."""
    work = work or checkout() / "my_work"
    return [_copy(lesson, work / lesson.name) for lesson in find_lessons(folder) if not (work / lesson.name).exists()]


def fresh_copy(number: str | int, work: Path | None = None, folder: Path | None = None) -> Path:
    """Copy one lesson beside the learner's earlier copies, under the first free name: 01_attention_2.ipynb, _3, …"""
    work = work or checkout() / "my_work"
    lesson = find_lesson(number, folder)
    target, attempt = work / lesson.name, 1
    while target.exists():
        attempt += 1
        target = work / f"{lesson.stem}_{attempt}.ipynb"
    return _copy(lesson, target)


def _copy(lesson: Path, target: Path) -> Path:
    """Copy without outputs: the learner predicts first and sees second."""
    notebook = json.loads(lesson.read_text(encoding="utf-8"))
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"], cell["execution_count"] = [], None
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.open("x", encoding="utf-8") as file:
        file.write(_as_text(notebook))
    return target


def source_hash(notebook: dict[str, Any]) -> str:
    """A hash of what the author wrote: kinds, sources and tags of the cells; outputs and counts play no part."""
    written = [
        (cell["cell_type"], "".join(cell["source"]), sorted(cell["metadata"].get("tags", ())))
        for cell in notebook["cells"]
    ]
    return hashlib.sha256(json.dumps(written, ensure_ascii=True).encode()).hexdigest()


def execute_and_clean(path: Path) -> float:
    """Run a stored lesson in place, clean it, stamp it, and return the seconds it took.

    Sources are left as they are, and the lesson's main figure is put into `pictures/` beside it. When a cell fails the file is left untouched and nbclient's CellExecutionError, which
    shows the cell and its traceback, goes to the caller.
    """
    import nbformat
    from nbclient import NotebookClient

    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=CELL_TIMEOUT_SECONDS,
        kernel_name="python3",
        record_timing=False,
        extra_arguments=["--IPKernelApp.log_level=ERROR"],
        resources={"metadata": {"path": str(path.parent)}},
    )
    start = time.perf_counter()
    client.execute(env={**os.environ, **LESSON_ENVIRONMENT})
    seconds = time.perf_counter() - start
    cleaned = clean(json.loads(nbformat.writes(notebook)))
    _replace(path, _as_text(cleaned).encode())
    picture = picture_of(cleaned)
    if picture:
        (path.parent / "pictures").mkdir(exist_ok=True)
        _replace(path.parent / "pictures" / f"{path.stem}.png", picture)
    return seconds


def picture_of(notebook: dict[str, Any]) -> bytes | None:
    """The first figure that the lesson draws under "See it": the one the README shows. None when there is none."""
    seeing = False
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            headings = re.findall(r"^## +(.+?) *$", "".join(cell["source"]), flags=re.MULTILINE)
            seeing = headings[-1] == "See it" if headings else seeing
        for output in cell.get("outputs", ()) if seeing else ():
            if "image/png" in output.get("data", {}):
                return base64.b64decode("".join(output["data"]["image/png"]))
    return None


def clean(notebook: dict[str, Any]) -> dict[str, Any]:
    """Return the notebook as git should keep it: outputs and counts stay; widget state, timings and random ids go."""
    cells = [_clean_cell(cell, index) for index, cell in enumerate(notebook["cells"])]
    return {
        "cells": cells,
        "metadata": {
            "kernelspec": {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"},
            "language_info": {"file_extension": ".py", "mimetype": "text/x-python", "name": "python"},
            "minillm": {"source_sha256": source_hash({"cells": cells})},
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    }


def _clean_cell(cell: dict[str, Any], index: int) -> dict[str, Any]:
    kept = {name: cell["metadata"][name] for name in KEPT_CELL_METADATA if cell["metadata"].get(name)}
    cleaned = {**cell, "id": f"cell-{index:02d}", "metadata": kept}
    if cell["cell_type"] == "code":
        cleaned["outputs"] = _merge_streams(map(_clean_output, cell["outputs"]))
    return cleaned


def _clean_output(output: dict[str, Any]) -> dict[str, Any]:
    """Drop the view of a live widget, which without its kernel hides the static picture, and this machine's paths."""
    if output["output_type"] == "error":
        here = re.compile(rf"{re.escape(str(Path(__file__).resolve().parents[2]))}/|\S*/site-packages/")
        return {**output, "traceback": [here.sub("", line) for line in output["traceback"]]}
    if "data" not in output:
        return output
    return {**output, "data": {mime: data for mime, data in output["data"].items() if mime != WIDGET_VIEW}}


def _merge_streams(outputs: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Join neighbouring pieces of one stream: how a kernel cuts its prints into messages is a matter of timing."""
    merged: list[dict[str, Any]] = []
    for output in outputs:
        last = merged[-1] if merged else {}
        if output["output_type"] == "stream" and last.get("name") == output["name"]:
            joined = "".join(last["text"]) + "".join(output["text"])
            merged[-1] = {**last, "text": joined.splitlines(keepends=True)}
        else:
            merged.append(output)
    return merged


def _as_text(notebook: dict[str, Any]) -> str:
    return json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n"


def _replace(path: Path, content: bytes) -> None:
    """Write in one step, so that an interruption leaves the old file or the new one."""
    draft = path.with_suffix(".draft")
    draft.write_bytes(content)
    os.replace(draft, path)


def main(arguments: list[str] | None = None) -> None:
    """`python -m minillm.lab.lessons copy [FOLDER]` or `refresh [LESSON …]`, for the Makefile."""
    parser = argparse.ArgumentParser(prog="python -m minillm.lab.lessons", description="Copy or refresh lessons.")
    actions = parser.add_subparsers(dest="action", required=True)
    actions.add_parser("copy").add_argument("folder", nargs="?", type=Path, default=checkout() / "my_work")
    actions.add_parser("refresh").add_argument("lessons", nargs="*", type=Path, help="all of them by default")
    options = parser.parse_args(arguments)
    if options.action == "copy":
        new, every = copy_lessons(options.folder), find_lessons()
        print(f"{options.folder.name}/: {len(new)} new lessons, {len(every) - len(new)} already there and left alone")
        return
    for path in options.lessons or find_lessons():
        print(f"{path.stem} … ", end="", flush=True)
        print(f"{execute_and_clean(path):.1f} s, {path.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
