"""The house style: same numbers give same bytes, tokens stay literal, and numbers read the same everywhere."""

import subprocess
import sys
import warnings

import pytest

from minillm.errors import InvalidValue
from minillm.lab import figures


def three_bars(values=(655360, 557056, 163840)):
    return figures.bar_chart(
        ["naive", "tiled", "flash"], values, title="Traffic", unit="bytes", source=figures.EXACT_COUNTS
    )


def test_a_chart_is_deterministic_and_follows_its_numbers():
    assert three_bars().png == three_bars().png
    assert three_bars().png != three_bars((655360, 557056, 163841 * 3)).png


def test_two_processes_draw_the_same_bytes():
    code = (
        "import hashlib; from minillm.lab import figures as f\n"
        "p = f.line_chart([1, 2], {'a': [1, 2], 'b': [2, 3]}, title='t', x_label='x (s)', y_label='y (s)', source=f.COMPUTED)\n"
        "print(hashlib.sha256(p.png).hexdigest())"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60) for _ in range(2)]
    assert runs[0].stdout == runs[1].stdout and len(runs[0].stdout) == 65, runs[0].stderr


def test_no_date_and_no_software_name_in_the_png():
    png = three_bars().png
    assert b"tEXt" not in png and b"tIME" not in png


def test_the_text_beside_a_chart_has_the_same_numbers_exactly():
    text = repr(three_bars())
    assert text.splitlines() == [
        "Traffic [bytes]",
        "  naive  655 360",
        "  tiled  557 056",
        "  flash  163 840",
        "Exact counts: the same on every machine.",
    ]


def test_the_notebook_bundle_is_png_and_text_shown_smaller_than_drawn():
    picture = three_bars()
    data, metadata = picture._repr_mimebundle_()
    assert data["text/plain"] == repr(picture)
    assert data["image/png"] == figures.base64_png(picture.png)
    assert metadata["image/png"]["width"] < figures.png_size(picture.png)[0]


def test_figures_leave_matplotlibs_global_state_alone():
    code = (
        "import sys, matplotlib\n"
        "settings = lambda: {k: matplotlib.rcParams[k] for k in matplotlib.rcParams if k != 'backend'}; before = settings()\n"
        "from minillm.lab import figures as f\n"
        "f.bar_chart(['a'], [1], title='t', unit='u', source='s')\n"
        "assert 'matplotlib.pyplot' not in sys.modules; assert settings() == before"
    )
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_a_dollar_or_a_missing_glyph_in_a_label_neither_fails_nor_warns():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figures.bar_chart(
            ["$a^{$", "漢字", "_"], [1, 2, 3], title="$x_{$", unit="n", source="$^$", texts=["$_$", "1", "2"]
        )


@pytest.mark.parametrize("values", [[0, 0], [0.0, 1e-12], [5e12, 1]])
def test_extreme_values_still_draw(values):
    assert figures.bar_chart(["a", "b"], values, title="t", unit="u", source="s").png


def test_series_differ_by_marker_as_well_as_colour():
    fig = figures.figure()
    figures.lines(fig.axes[0], [1, 2], {"a": [1, 2], "b": [2, 1]}, x_label="x", y_label="y")
    first, second = fig.axes[0].get_lines()
    assert first.get_marker() != second.get_marker() and first.get_color() != second.get_color()


def test_unequal_lengths_are_refused_with_both_numbers():
    with pytest.raises(InvalidValue, match="labels and values must be equally long; got 1 and 2"):
        figures.bar_chart(["a"], [1, 2], title="t", unit="u", source="s")


@pytest.mark.parametrize(
    ("count", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536, "1.5 KiB"),
        (131072, "128 KiB"),
        (1024**2 - 1, "1 MiB"),
        (16060522496, "15 GiB"),
    ],
)
def test_bytes_in_binary_units(count, text):
    assert figures.format_bytes(count) == text


@pytest.mark.parametrize(
    ("count", "text"), [(9999, "9999"), (10000, "10K"), (999999, "1M"), (8030261248, "8.03B"), (0.1234, "0.123")]
)
def test_counts_with_letters(count, text):
    assert figures.format_count(count) == text


@pytest.mark.parametrize(
    ("token", "text"),
    [(" def", "␣def"), ("\n    ", "⏎␣␣␣␣"), ("", "(empty)"), ("\x00", "\\x00"), ("x" * 40, "x" * 17 + "…")],
)
def test_white_space_in_tokens_is_visible(token, text):
    assert figures.show_token(token) == text


@pytest.mark.parametrize("low, high, shown", [(4, 270, "5 10 20 50 100 200"), (0.002, 9e5, "0.01 1 100 10K 1M")])
def test_a_logarithmic_height_is_told_in_plain_numbers(low, high, shown):
    fig = figures.figure()
    (axes,) = fig.axes
    axes.plot([1, 2], [low, high])
    figures.log_height(axes)
    figures.to_png(fig)
    bottom, top = axes.get_ylim()
    labels = [text.get_text() for text in axes.get_yticklabels() if bottom <= text.get_position()[1] <= top]
    assert " ".join(labels) == shown
