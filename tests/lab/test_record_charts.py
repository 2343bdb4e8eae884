"""Charts and tables say what a record says: its numbers, its ceilings, what it left out; and nothing where nothing was run."""

import dataclasses

import pytest

from minillm import cli
from minillm.errors import InvalidValue
from minillm.lab import record_charts, record_rows
from minillm.lab.record_charts import draw_rows, gpu_chart
from minillm.lab.record_rows import case_label, compare_records, gpu_record, markdown_table, select_rows
from minillm.measure import Measurement, Record, Untimed, save_record


def attention(backend, length, teraflops, *, causal=True, groups=8):
    shape = {"B": 16384 // length, "L": length, "S": length, "H": 32, "G": groups, "D": 128}
    seconds = 1e12 / (teraflops * 1e12)
    return Measurement(
        "attention", backend, "bfloat16", shape, seconds, seconds, seconds, 10, 4 * 10**9, 10**12,
        "torch cudnn", 0.5, 0.01, 0.002, {"causal": causal},
    )  # fmt: skip


def softmax(backend, seconds):
    return Measurement(
        "softmax",
        backend,
        "bfloat16",
        {"M": 16384, "N": 8192},
        seconds,
        seconds,
        seconds,
        10,
        4 * 10**8,
        rms_error=0.001,
    )


RECORD = Record(
    device="NVIDIA H200", driver="570.1", versions={"torch": "2.11.0"}, commit="0123abc", date="2026-12-01T12:00:00+00:00",
    command="python benchmarks/operators", copy_bytes_per_s=4e12, matmul_flops_per_s={"bfloat16": 8e14},
    measurements=(
        attention("triton", 512, 300), attention("triton", 4096, 400), attention("torch cudnn", 512, 500),
        attention("torch cudnn", 4096, 520), attention("triton", 512, 450, causal=False), attention("torch flex", 4096, 390),
        softmax("triton", 1.25e-4), softmax("torch", 2e-4),
    ),
    untimed=(
        Untimed("attention", "torch efficient", "bfloat16", {"L": 512}, "RuntimeError: no kernel", {"causal": True}),
        Untimed("attention", "torch efficient", "bfloat16", {"L": 4096}, "RuntimeError: no kernel", {"causal": True}),
        Untimed("softmax", "triton online", "bfloat16", {"M": 16384, "N": 8192}, "WrongAnswer: off", {}),
    ),
)  # fmt: skip
ON_A_CPU = dataclasses.replace(RECORD, device="A CPU", driver=None, date="2027-01-01T00:00:00+00:00")


def test_rows_are_the_ones_asked_for_with_fractions_of_their_ceilings():
    selection = select_rows(RECORD, "attention", causal=True, L=512)
    assert [row.measured.backend for row in selection.rows] == ["triton", "torch cudnn"]
    assert selection.rows[0].of_matmul == pytest.approx(300 / 800)
    assert selection.rows[0].of_copy == pytest.approx(4e9 / (1 / 300) / 4e12)
    assert [case.backend for case in selection.untimed] == ["torch efficient"]
    assert len(select_rows(RECORD, "attention").rows) == 6


def test_decoding_is_drawn_in_bytes_over_the_length_of_the_texts_a_batch_size_at_a_time():
    rows = [
        Measurement("flash_decode", "triton", "bfloat16", {"B": B, "S": S, "H": 32, "G": 8, "D": 128}, *[S * 1e-9] * 3, 10, B * S * 4000)
        for B, S in ((32, 8192), (1, 8192), (1, 32_768))
    ]  # fmt: skip
    selection = select_rows(dataclasses.replace(RECORD, measurements=tuple(rows)), "flash_decode")
    assert selection.unit == "TB/s"
    assert {kind: [row.length for row in found] for kind, found in selection.kinds().items()} == {
        "B 32 H 32 G 8 D 128 bfloat16": [8192], "B 1 H 32 G 8 D 128 bfloat16": [8192, 32_768],
    }  # fmt: skip
    assert "B 1 H 32" in draw_rows(selection).text


def test_a_chart_is_a_line_a_contestant_with_the_ceiling_of_the_same_run():
    picture = draw_rows(select_rows(RECORD, "attention", causal=True))
    assert picture.png.startswith(b"\x89PNG")
    lines = [line.split() for line in picture.text.splitlines()]
    assert " ".join(lines[0]) == "attention on NVIDIA H200, 2026-12-01 [TFLOP/s]"
    assert " ".join(lines[1]) == "H 32 G 8 D 128 bfloat16 causal"
    assert lines[3:5] == [["512", "300", "500", "-"], ["4096", "400", "520", "390"]]
    assert lines[5][-1] == "800"
    assert "not timed: torch efficient, 2 shapes: RuntimeError: no kernel" in picture.text
    assert picture.text.endswith("Recorded on NVIDIA H200, 2026-12-01; not measured on this machine.")


def test_what_was_not_run_is_not_drawn():
    drawn = []

    class Axes:
        def __getattr__(self, name):
            return lambda *points, **options: (name == "plot" and drawn.append((points, options["label"]))) or (0, 1)

    selection = select_rows(RECORD, "attention", causal=True)
    record_charts._draw_lines(Axes(), selection, list(selection.rows), "large matmul")
    assert [label for _, label in drawn] == ["triton", "torch cudnn", "torch flex"]
    assert drawn[2][0] == ((4096,), (pytest.approx(390),))


def test_a_contestant_looks_alike_in_every_panel(monkeypatch):
    from matplotlib.axes import Axes

    looks = {}
    plot = Axes.plot

    def watched(axes, *points, **options):
        looks.setdefault(options["label"], set()).add((options["color"], options["marker"]))
        return plot(axes, *points, **options)

    monkeypatch.setattr(Axes, "plot", watched)
    others = [attention(name, length, 350, groups=32) for name in ("torch flex", "triton") for length in (512, 4096)]
    draw_rows(select_rows(dataclasses.replace(RECORD, measurements=(*RECORD.measurements, *others)), "attention"))
    assert all(len(seen) == 1 for seen in looks.values()) and len(set.union(*looks.values())) == len(looks) == 3


def test_kinds_are_kept_apart():
    kinds = select_rows(RECORD, "attention").kinds()
    assert {kind: len(rows) for kind, rows in kinds.items()} == {
        "H 32 G 8 D 128 bfloat16 causal": 5,
        "H 32 G 8 D 128 bfloat16": 1,
    }


def test_what_multiplies_nothing_is_shown_in_bytes_beside_the_copy():
    text = draw_rows(select_rows(RECORD, "softmax")).text
    assert "[TB/s]" in text and "a copy in the same run (dashed): 4" in text
    assert ["triton", "3.2"] in [line.split() for line in text.splitlines()]
    assert "not timed: triton online, M 16384 N 8192 bfloat16: WrongAnswer: off" in text


def test_the_newest_gpu_record_that_has_the_operator_is_taken():
    old = dataclasses.replace(RECORD, date="2026-01-01T00:00:00+00:00")
    other = dataclasses.replace(RECORD, date="2027-06-01T00:00:00+00:00", measurements=(softmax("torch", 1.0),))
    assert gpu_record("attention", [old, RECORD, ON_A_CPU, other]) is RECORD
    assert gpu_record("softmax", [old, RECORD, other]) is other
    assert gpu_record("attention", [ON_A_CPU]) is gpu_record("attention", []) is None


@pytest.mark.parametrize(
    ("operator", "among"), [("attention", []), ("matmul", [RECORD]), ("attention_backward", [ON_A_CPU])]
)
def test_without_a_gpu_record_there_is_a_sentence_and_no_curve(operator, among):
    picture = gpu_chart(operator, among=among)
    assert (
        picture.text.startswith(f"{operator.replace('_', ' ')}: not yet measured on a GPU") and "\n" not in picture.text
    )
    assert picture.png.startswith(b"\x89PNG")


def test_a_selection_that_matches_nothing_is_a_sentence_too():
    assert "not yet measured" in gpu_chart("attention", D=64, among=[RECORD]).text


def test_the_bundled_records_can_all_be_drawn():
    for operator in ("attention", "attention_backward", "attention_varlen", "softmax", "matmul"):
        assert gpu_chart(operator).png.startswith(b"\x89PNG")


def test_markdown_has_a_cell_for_every_column_and_says_whose_numbers():
    head, _, names, rule, *rest = markdown_table(select_rows(RECORD, "attention", causal=True, L=512)).splitlines()
    assert head.startswith("NVIDIA H200, driver 570.1, torch 2.11.0; 2026-12-01, commit 0123abc; `python")
    assert len({line.count("|") for line in (names, rule, *rest[:2])}) == 1
    assert rest[0].split("|")[1:4] == [" triton ", " B 32 L 512 S 512 H 32 G 8 D 128 bfloat16 causal ", " 3333.3 "]
    assert rest[-1] == "- torch efficient, L 512 bfloat16 causal: RuntimeError: no kernel"


def test_what_was_not_recorded_is_a_dash():
    assert record_rows.cells(select_rows(RECORD, "softmax").rows[0])[5:] == [
        "-", "-", "3.2", "80%", "-", "-", "-", "1.0e-03",
    ]  # fmt: skip


def test_records_compare_case_by_case():
    faster = dataclasses.replace(
        RECORD, measurements=(attention("triton", 512, 600), attention("triton", 512, 1, causal=False))
    )
    *_, first, second = compare_records(RECORD, faster).splitlines()
    assert first.split()[-1] == "2.00" and case_label(RECORD.measurements[0]) in first
    assert second.split()[-1] == "0.00"
    with pytest.raises(InvalidValue, match="share a case"):
        compare_records(dataclasses.replace(RECORD, measurements=RECORD.measurements[-1:]), faster)


def test_the_command_prints_tables_and_comparisons(tmp_path, capsys):
    save_record(RECORD, tmp_path / "a.json")
    assert cli.main(["bench", "--table", str(tmp_path / "a.json")]) == 0
    assert capsys.readouterr().out.count("\n## ") == 1  # two operators, the first at the top
    assert cli.main(["bench", "--compare", str(tmp_path / "a.json"), str(tmp_path / "a.json")]) == 0
    assert capsys.readouterr().out.count("1.00") == len(RECORD.measurements)
    assert cli.main(["bench", "--table", str(tmp_path / "none.json")]) == 2
