"""JupyterLab in a real browser: `make lab` serves a lesson, it runs, and a slider moves a number and a figure.

This is the learner's whole path, so it goes through the Makefile. It needs Playwright and a Chromium (Debian's will do)
and is skipped, saying so, where there is none. On a failure a screenshot is kept in pytest's temporary folder.
"""

import contextlib
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest

from minillm.lab.lessons import LESSON_ENVIRONMENT, clean, find_lessons

LESSON, WORKBENCH = "00_start_here.ipynb", "workbench.ipynb"
ROOT = Path(__file__).resolve().parents[2]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
START_SECONDS, RUN_SECONDS = 60, 120

browser_path = next(filter(None, map(shutil.which, BROWSERS)), None)
if browser_path is None:
    pytest.skip(f"no browser: none of {', '.join(BROWSERS)} is on the PATH", allow_module_level=True)
if shutil.which("make") is None:
    pytest.skip("no make, whose `make lab` is what this test opens", allow_module_level=True)
playwright_api = pytest.importorskip("playwright.sync_api", reason="needs playwright, from the [test] extra")

pytestmark = pytest.mark.browser


def stand_in_lesson():
    """A small notebook with one slider, a figure and a read-out, for as long as there is no lesson 00."""
    widget = (
        "from matplotlib.figure import Figure\n"
        "from minillm.lab.widgets.base import Explorer, Slider, show\n"
        "def draw(n):\n    figure = Figure()\n    figure.subplots().plot(range(n))\n    return figure\n"
        "length = Slider('length', 'Length', 'tokens', 2, 100, 1, 10)\n"
        "show(Explorer('Length', [length], lambda s: s['length'], draw, lambda n: f'{n} tokens'))"
    )
    cells = [
        nbformat.v4.new_markdown_cell("# Stand-in"),
        *map(nbformat.v4.new_code_cell, ("import minillm as ml", widget)),
    ]
    return nbformat.from_dict(clean(nbformat.v4.new_notebook(cells=cells)))


def kernel_workbench():
    """The widgets of lessons from 03 on under each other in one output, so that none is scrolled out of the page."""
    shown = (
        "import ipywidgets, minillm as ml\nw = ml.lab.widgets\nipywidgets.VBox([w.online_softmax(), w.program_ids(),"
        " w.tile_explorer(), w.ir_explorer(), w.next_token_cost(), w.pool_explorer(), w.prefix_explorer(), w.batching_explorer(), w.compare_schedules(), w.decoding_explorer(ml.load_model('tiny'), ml.load_tokenizer('tiny')), w.speculation_explorer(), ml.lab.compare_kernels(rungs=['naive', 'sdpa'], seconds=0.01)])"
    )
    return nbformat.from_dict(clean(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(shown)])))


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """JupyterLab as `make lab` starts it, on a free port and with a random token."""

    def __init__(self, work: Path) -> None:
        self.token, self.port = secrets.token_hex(16), free_port()
        arguments = f"--no-browser --ServerApp.ip=127.0.0.1 --ServerApp.port={self.port} --ServerApp.port_retries=0 --LabApp.expose_app_in_browser=True"
        places = {f"JUPYTER{name}": str(work.parent / name.strip("_").lower()) for name in ("_CONFIG_DIR", "_DATA_DIR", "LAB_SETTINGS_DIR", "LAB_WORKSPACES_DIR")}  # fmt: skip
        command = [
            "make",
            "--no-print-directory",
            "-o",
            f"{sys.prefix}/.installed",
            "lab",
            f"VENV={sys.prefix}",
            f"WORK={work}",
        ]
        self.log = work.parent / "server.log"
        self.process = subprocess.Popen(
            [*command, f"LAB_ARGS={arguments} --IdentityProvider.token={self.token}"],
            cwd=ROOT,
            env={**os.environ, **LESSON_ENVIRONMENT, **places},
            stdout=self.log.open("wb"),
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}?token={self.token}"

    def get(self, path: str):
        with urllib.request.urlopen(self.url(path), timeout=5) as reply:
            return json.load(reply)

    def wait_for(self, what: str, condition, seconds: float):
        """Poll until the condition holds, and say what was waited for when it never does."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            assert self.process.poll() is None, f"the server ended:\n{self.log.read_text()[-3000:]}"
            with contextlib.suppress(OSError):
                if condition():
                    return
            time.sleep(0.2)
        raise AssertionError(f"{what}: not within {seconds} s\n{self.log.read_text()[-3000:]}")

    def stop(self) -> None:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, number)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(timeout=10)
                return


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    work = tmp_path_factory.mktemp("browser") / "my_work"
    work.mkdir()
    if LESSON not in {path.name for path in find_lessons()}:
        nbformat.write(stand_in_lesson(), work / LESSON)
    nbformat.write(kernel_workbench(), work / WORKBENCH)
    server = Server(work)
    try:
        server.wait_for("JupyterLab", lambda: server.get("api/status"), START_SECONDS)
        yield server
    finally:
        server.stop()


@pytest.fixture(scope="module")
def page(server, tmp_path_factory):
    """The lesson, open, with its kernel ready and every cell run."""
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=browser_path, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        page = browser.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(30_000)
        try:
            page.goto(server.url(f"doc/tree/{LESSON}"))
            run_all(server, page)
            yield page
        except BaseException:
            page.screenshot(path=tmp_path_factory.mktemp("failure") / "opening.png")
            raise
        finally:
            browser.close()


@pytest.fixture(autouse=True)
def screenshot_on_failure(request, page, tmp_path):
    failed_before = request.session.testsfailed
    yield
    if request.session.testsfailed > failed_before:
        for number, context in enumerate(page.context.browser.contexts):
            context.pages[0].screenshot(path=tmp_path / f"failure_{number}.png")


def run_all(server, page, notebook=LESSON) -> None:
    """Run every cell once the kernel really is there: before that, Lab calls itself idle and asks which kernel."""
    page.locator(".jp-Notebook").wait_for()
    server.wait_for("the kernel", lambda: kernel_ready(server, notebook), START_SECONDS)
    page.locator(".jp-Notebook .jp-CodeCell").first.click()
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_role("menuitem", name="Run All Cells", exact=True).click()
    page.wait_for_function(RUN_IS_OVER, timeout=RUN_SECONDS * 1000)


# A long notebook is drawn only where it is looked at, so cells are read from the notebook's model, not from the page.
CELLS = """
    const notebook = window.jupyterapp?.shell?.currentWidget?.content;
    const cells = Array.from(notebook?.model?.cells ?? []).filter(cell => cell.type === 'code');
    const meant = cell => (cell.getMetadata('tags') ?? []).includes('raises-exception');
    const errors = cells.filter(cell => !meant(cell)).flatMap(cell => cell.outputs.toJSON())
        .filter(output => output.output_type === 'error').map(output => `${output.ename}: ${output.evalue}`);
"""
RUN_IS_OVER = f"""() => {{ {CELLS}
    const ran = cell => cell.executionCount !== null && cell.executionState !== 'running';
    return errors.length > 0 || (cells.length > 0 && cells.every(ran));
}}"""
ERRORS = f"() => {{ {CELLS} return errors; }}"


def kernel_ready(server, notebook) -> bool:
    return any(
        session["kernel"]["execution_state"] == "idle" and session["kernel"]["connections"] > 0
        for session in server.get("api/sessions")
        if session["path"].endswith(notebook)
    )


def slider_panel(page):
    """The first widget with a numeric slider and a figure: (the slider's handle, its read-out box, the figure)."""
    slider = page.locator(".jp-OutputArea-output .widget-slider:has(.widget-readout[contenteditable=true])").first
    slider.scroll_into_view_if_needed()
    panel = page.locator(".jp-OutputArea-output .widget-vbox:has(.widget-slider)").first
    return slider.get_by_role("slider"), slider.locator(".widget-readout"), panel.locator("img").first


def expect_change(page, figure, before: str) -> None:
    page.wait_for_function("([image, before]) => image.src !== before", arg=[figure.element_handle(), before])


def test_the_lesson_runs_without_an_error(page):
    assert page.evaluate(ERRORS) == []


def test_an_arrow_key_moves_the_number_and_the_figure(page):
    handle, readout, figure = slider_panel(page)
    number, picture = readout.inner_text(), figure.get_attribute("src")
    handle.focus()
    page.keyboard.press("ArrowRight")
    expect_change(page, figure, picture)
    assert readout.inner_text() != number


def test_a_number_typed_into_the_read_out_box_moves_the_slider_and_the_figure(page):
    handle, readout, figure = slider_panel(page)
    picture, largest = figure.get_attribute("src"), float(handle.get_attribute("aria-valuemax"))
    readout.click()
    page.keyboard.press("Control+A")
    page.keyboard.type(f"{largest:g}")
    page.keyboard.press("Enter")
    expect_change(page, figure, picture)
    assert float(handle.get_attribute("aria-valuenow")) == largest
    assert float(readout.inner_text()) == largest


@pytest.fixture(scope="module")
def workbench(server, page, tmp_path_factory):
    """The kernel lessons' widgets, live in a page of their own."""
    bench = page.context.browser.new_page(viewport={"width": 1100, "height": 1000})
    bench.set_default_timeout(30_000)
    try:
        bench.goto(server.url(f"doc/tree/{WORKBENCH}"))
        run_all(server, bench, WORKBENCH)
        assert bench.evaluate(ERRORS) == []
        yield bench
    except BaseException:
        bench.screenshot(path=tmp_path_factory.mktemp("failure") / "workbench.png")
        raise


def widget(page, label: str):
    """The innermost panel that has a control of this label, and its figure."""
    panel = page.locator(".widget-vbox .widget-vbox", has_text=label).last
    panel.scroll_into_view_if_needed()
    return panel, panel.locator("img").first


@pytest.mark.parametrize(
    ("label", "key", "said"),
    [
        ("Step (tiles read)", "ArrowRight", "tile 3 of 3: no larger score"),  # lesson 03
        ("Program id (from 0)", "ArrowLeft", "program 1: 8 of 8 lanes work"),  # lesson 04
        ("Tile height block_l (queries)", "ArrowRight", "tiles of 128 queries x 64 keys"),  # lesson 05
        ("Length (tokens a text)", "ArrowRight", "1 text of 16 384 tokens"),  # lesson 07
        ("Page P (slots)", "ArrowRight", "step 8 of 24: pages of 8"),  # lesson 10
        ("Prompts arrived", "ArrowRight", "prompt 6 of 8, Dora: read lines"),  # lesson 11
        ("Queue delay (ms)", "ArrowRight", "waits 20 ms"),  # lesson 12
        ("Rate (requests/s)", "ArrowRight", "20 requests in 1.25 s"),  # lessons 13 and 14
        ("Beam width (texts)", "ArrowRight", "beam search, width 4: step"),  # lesson 15
        ("Acceptance (a guess)", "ArrowRight", "at an acceptance of 85%"),  # lesson 16
    ],
)
def test_an_arrow_key_steps_through_a_kernel_widget(workbench, label, key, said):
    panel, figure = widget(workbench, label)
    before = figure.get_attribute("src")
    slider = panel.locator(".widget-inline-hbox", has_text=label).get_by_role("slider")
    slider.focus()
    workbench.keyboard.press(key)
    expect_change(workbench, figure, before)
    panel.get_by_text(said).wait_for()


def test_picking_a_source_line_shows_what_it_became(workbench):
    from minillm.kernels.runtime import mode

    if mode().name == "absent":
        pytest.skip("Triton is absent: there is nothing to compile")
    panel, figure = widget(workbench, "Source line (number, code)")
    before = figure.get_attribute("src")
    lines = panel.locator(".widget-inline-hbox", has_text="Source line").locator("select")
    texts = lines.locator("option").all_text_contents()  # ipywidgets writes their spaces as no-break spaces
    lines.select_option(index=next(i for i, text in enumerate(texts) if "tl.dot(p.to(" in text))
    expect_change(workbench, figure, before)
    panel.locator("pre", has_text="wgmma").first.wait_for()


def test_the_kernel_lab_compares_when_its_button_is_pressed(workbench):
    panel, figure = widget(workbench, "Contestants (names, or all)")
    before = figure.get_attribute("src")
    panel.locator(".widget-inline-hbox", has_text="Numbers").locator("select").select_option(index=1)
    panel.get_by_text("The controls have moved; press Compare.").wait_for()
    assert figure.get_attribute("src") == before
    button = panel.get_by_role("button", name="Compare")
    button.focus()
    workbench.keyboard.press("Enter")
    expect_change(workbench, figure, before)
    panel.get_by_text("D = 64, bfloat16, causal").first.wait_for()
