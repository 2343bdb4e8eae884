"""The form of a lesson, as rules; `tests/test_notebooks.py` holds every stored lesson to them.

A rule takes a lesson and returns what is wrong with it, one sentence each. Authors read these sentences, so they name
the cell and the remedy.
"""

import ast
import json
import re
import statistics
import sys
from dataclasses import dataclass
from pathlib import Path

from minillm.lab.lessons import source_hash

HEADINGS = [
    "Question",
    "Predict",
    "Build it naively",
    "Watch it fail",
    "Build it well",
    "Verify",
    "See it",
    "Measure it",
    "Your turn",
]
MOST_LINES, MEDIAN_LINES, MOST_BYTES, FEWEST_COMPARED, FEWEST_CHECKS = 15, 4, 300_000, 10, 2
TAGS = {"nbval-ignore-output", "raises-exception"}
IMPORTS = sys.stdlib_module_names | {"minillm", "torch", "numpy", "matplotlib"}
FORBIDDEN = r"clear_output|\bOutput\(|\binteract(ive|_manual)?\(|get_ipython|%timeit|plt\.show"
MACHINE_PATH = r"(?<![\w.:/])/(home|Users|root|tmp|work|usr|opt|var|mnt)/\w|[A-Z]:\\\\?\w|site-packages"
ADDRESS = r"0x[0-9a-f]{6,}"


@dataclass(frozen=True)
class Lesson:
    """A stored notebook and the few views of it that the rules ask for."""

    name: str
    notebook: dict
    size: int = 0

    @classmethod
    def read(cls, path: Path) -> "Lesson":
        return cls(path.stem, json.loads(path.read_text(encoding="utf-8")), path.stat().st_size)

    def cells(self, kind: str) -> list[dict]:
        return [cell for cell in self.notebook["cells"] if cell["cell_type"] == kind]

    @property
    def number(self) -> str:
        return self.name[:2]

    @property
    def headings(self) -> list[str]:
        text = "\n".join(source(cell) for cell in self.cells("markdown"))
        return re.findall(r"^## +(.+?) *$", text, flags=re.MULTILINE)

    @property
    def trees(self) -> list[ast.Module]:
        """The code cells as syntax trees; a magic, which has a rule of its own, stands as `pass`."""
        return [ast.parse(re.sub(r"(?m)^(\s*)[%!?].*", r"\1pass", source(cell))) for cell in self.cells("code")]

    def lab_calls(self, function: str) -> list[ast.Call]:
        """Every call that ends in `.check(…)`, `.predict(…)` and so on, in order."""
        nodes = (node for tree in self.trees for node in ast.walk(tree) if isinstance(node, ast.Call))
        return [node for node in nodes if ast.unparse(node.func).endswith(f"lab.{function}") and node.args]

    def lab_ids(self, function: str) -> list[str]:
        return [ast.literal_eval(call.args[0]) for call in self.lab_calls(function)]


def source(cell: dict) -> str:
    return "".join(cell["source"])


def tags(cell: dict) -> set[str]:
    return set(cell["metadata"].get("tags", ()))


def printed(cell: dict) -> str:
    """All the text a cell shows, error texts included, tracebacks left out."""
    pieces = []
    for output in cell["outputs"]:
        data = output.get("data", {})
        values = [
            output.get("text", ""),
            output.get("evalue", ""),
            *(data.get(f"text/{kind}", "") for kind in ("plain", "html")),
        ]
        pieces += ["".join(value) for value in values]
    return "\n".join(pieces)


def each(cells: list[dict], complaint: str, is_bad) -> list[str]:
    """One sentence for every cell that is bad, quoting its first line."""
    return [f"{complaint}: {source(cell).strip().splitlines()[:1]}" for cell in cells if is_bad(cell)]


def rule_has_a_title(lesson):
    first = lesson.notebook["cells"][0]
    return [] if first["cell_type"] == "markdown" and source(first).startswith("# ") else ["begin with a `# ` title"]


def rule_has_the_nine_beats(lesson):
    return [] if lesson.headings == HEADINGS else [f"the `## ` headings are {lesson.headings}; they must be {HEADINGS}"]


def rule_cells_are_sentences(lesson):
    lengths = [len(source(cell).strip().splitlines()) for cell in lesson.cells("code")]
    long = each(
        lesson.cells("code"), f"more than {MOST_LINES} lines", lambda c: len(source(c).splitlines()) > MOST_LINES
    )
    if statistics.median(lengths) > MEDIAN_LINES:
        long.append(f"the median code cell has {statistics.median(lengths)} lines; at most {MEDIAN_LINES}")
    return long


def rule_is_executed_in_order(lesson):
    counts = [cell["execution_count"] for cell in lesson.cells("code")]
    expected = list(range(1, len(counts) + 1))
    return (
        [] if counts == expected else ["the stored outputs are not of one run from top to bottom; run `make lessons`"]
    )


def rule_is_not_stale(lesson):
    stamp = lesson.notebook["metadata"].get("minillm", {}).get("source_sha256")
    return [] if stamp == source_hash(lesson.notebook) else ["edited after its last run; run `make lessons`"]


def rule_is_light_and_stateless(lesson):
    problems = [f"{lesson.size} bytes; at most {MOST_BYTES}"] if lesson.size > MOST_BYTES else []
    text = json.dumps(lesson.notebook)
    for unwanted in ("image/svg+xml", "application/vnd.jupyter.widget"):
        problems += [f"stores {unwanted}; run `make lessons`, and draw PNG"] if unwanted in text else []
    return problems + (["stores metadata.widgets"] if "widgets" in lesson.notebook["metadata"] else [])


def rule_says_only_what_can_be_compared(lesson):
    cells = lesson.cells("code")
    return (
        each(cells, "nbval cannot follow this", lambda c: re.search(FORBIDDEN, source(c)))
        + each(cells, "a magic or shell line hides failures", lambda c: re.search(r"(?m)^\s*[%!?]", source(c)))
        + each(cells, "ends in `;`, which nbval ignores", lambda c: source(c).rstrip().endswith(";"))
        + each(cells, "warns or writes to stderr", lambda c: any(o.get("name") == "stderr" for o in c["outputs"]))
        + each(cells, "prints an address", lambda c: re.search(ADDRESS, printed(c)))
    )


def rule_tags_are_known_and_errors_tagged(lesson):
    cells = lesson.cells("code")
    raised = lambda cell: any(output["output_type"] == "error" for output in cell["outputs"])  # noqa: E731
    return each(cells, f"tags must be of {sorted(TAGS)}", lambda c: tags(c) - TAGS) + each(
        cells, "raises without the tag raises-exception", lambda c: raised(c) and "raises-exception" not in tags(c)
    )


def rule_ignored_cells_have_a_compared_twin(lesson):
    cells = lesson.cells("code")
    compared = [not tags(cell) and bool(cell["outputs"]) for cell in cells]
    ignored = [index for index, cell in enumerate(cells) if "nbval-ignore-output" in tags(cell)]
    alone = [cells[index] for index in ignored if not any(compared[max(0, index - 1) : index + 2])]
    return each(alone, "no untagged cell beside it prints the facts", lambda c: True)


def rule_enough_is_compared(lesson):
    compared = sum(not tags(cell) and bool(cell["outputs"]) for cell in lesson.cells("code"))
    return [] if compared >= FEWEST_COMPARED else [f"{compared} cells are compared; at least {FEWEST_COMPARED}"]


def rule_predicts_and_scores(lesson):
    predicted, scored = lesson.lab_ids("predict"), lesson.lab_ids("score")
    if predicted and sorted(set(predicted)) == sorted(set(scored)):
        return []
    return [f"every prediction is scored, and there is one at least; predicted {predicted}, scored {scored}"]


def rule_has_exercises_and_a_clinic(lesson):
    ids = set(lesson.lab_ids("check"))
    problems = [
        f"id {name} must begin with {lesson.number}." for name in ids if not name.startswith(f"{lesson.number}.")
    ]
    problems += [f"{len(ids)} exercises; at least {FEWEST_CHECKS}"] if len(ids) < FEWEST_CHECKS else []
    clinic = any(re.search(r"(?mi)^###.*clinic", source(cell)) for cell in lesson.cells("markdown"))
    return problems + ([] if clinic else ["no `### ` heading names a bug clinic"])


def rule_is_unsolved(lesson):
    checks = [cell for cell in lesson.cells("code") if "lab.check(" in source(cell)]
    return each(checks, "a shipped exercise is not attempted", lambda c: "not attempted" not in printed(c))


def rule_names_no_machine(lesson):
    shown = lambda cell: source(cell) + (printed(cell) if cell["cell_type"] == "code" else "")  # noqa: E731
    return each(lesson.notebook["cells"], "a path of one machine", lambda c: re.search(MACHINE_PATH, shown(c)))


def rule_imports_little(lesson):
    nodes = [node for tree in lesson.trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
    return [
        f"imports {name}; lessons need only minillm, torch, numpy, matplotlib"
        for name in names
        if name.split(".")[0] not in IMPORTS
    ]


def rule_pictures_are_computed(lesson):
    pattern = r"!\[[^\]]*\]\((?!data:)|<img"
    problems = each(
        lesson.cells("markdown"),
        "a picture file would be lost in the learner's copy",
        lambda c: re.search(pattern, source(c)),
    )
    drawn = any("image/png" in output.get("data", {}) for cell in lesson.cells("code") for output in cell["outputs"])
    return problems + ([] if drawn else ["no figure is drawn"])


RULES = [value for name, value in sorted(globals().items()) if name.startswith("rule_")]
