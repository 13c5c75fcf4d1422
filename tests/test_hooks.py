"""The site's machinery, on a small site with a small notebook: what is published, and what stops a build."""

import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import nbformat
import pytest
import yaml
from bs4 import BeautifulSoup

ROOT = Path(__file__).parents[1]
NOTEBOOK = "docs/tutorials/lenet/small.ipynb"
TEXT = """# Small

Inline $x^2$, a link to [another page](../../index.md#here), and to [a function][backbones.create_model].

!!! note

    An admonition.

## Part two
"""
CODE = """import os, sys
from pathlib import Path
Path("runs.txt").open("a").write("run\\n")
print("printed", 6 * 7)
os.write(2, b"a library in C grumbles")
assert sys.executable == {python!r}
"""
FIGURE = """from matplotlib.figure import Figure
from backbones import figures
figure = Figure(figsize=(3, 2))
figure.subplots().plot([1, 2])
figures.show(figure, alt="A line that rises.")
"""


class Site:
    """A folder with a configuration like the real one, two pages and a notebook."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        config = yaml.safe_load((ROOT / "mkdocs.yml").read_text())
        config["hooks"] = [str(ROOT / hook) for hook in config["hooks"]]
        config["theme"]["custom_dir"] = str(ROOT / config["theme"]["custom_dir"])
        config["plugins"] = [plugin for plugin in config["plugins"] if "macros" not in plugin]
        config["extra"]["notebook_cell_timeout"] = 60  # a busy machine takes its time to import Matplotlib
        config["watch"] = []
        del config["nav"]
        self.write("mkdocs.yml", yaml.safe_dump(config))
        self.write("docs/index.md", "# Home\n\n## Here\n\n[Notebook](tutorials/lenet/small.ipynb#part-two)\n")
        self.write(
            "docs/api.md", "# API\n\n::: backbones.building.create_model\n\n::: backbones.create_model\n"
        )
        for asset in ("extra.css", "logo.svg"):
            self.write(f"docs/assets/{asset}", (ROOT / "docs/assets" / asset).read_text())
        self.write(
            "docs/abbreviations.md", (ROOT / "docs/abbreviations.md").read_text()
        )  # a snippet of every page
        self.cells(TEXT, CODE.format(python=sys.executable), FIGURE)

    def write(self, path: str, text: str) -> None:
        target = self.folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def cells(self, text: str, *code: str) -> None:
        cells = [nbformat.v4.new_markdown_cell(text), *map(nbformat.v4.new_code_cell, code)]
        self.write(NOTEBOOK, nbformat.writes(nbformat.v4.new_notebook(cells=cells)))

    def command(self, *arguments: str) -> dict:
        environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(ROOT)}
        return {
            "args": [sys.executable, "-m", "mkdocs", *arguments],
            "cwd": self.folder,
            "env": environment,
            "text": True,
        }

    def build(self, *options: str) -> tuple[int, str]:
        done = subprocess.run(**self.command("build", *options), capture_output=True, check=False)
        return done.returncode, done.stdout + done.stderr

    @property
    def runs(self) -> int:
        return len((self.folder / NOTEBOOK).with_name("runs.txt").read_text().splitlines())


@pytest.fixture
def site(tmp_path):
    return Site(tmp_path)


def test_a_notebook_becomes_a_page_like_any_other(site):
    code, told = site.build()
    assert code == 0, told
    assert "Running docs/tutorials/lenet/small.ipynb" in told
    assert re.search(r"small\.ipynb +\d+ s", told)

    folder = site.folder / "site/tutorials/lenet/small"
    text = (folder / "index.html").read_text()
    page = BeautifulSoup(text, "html.parser").select_one("article")
    assert page is not None
    assert page.select_one("math msup")
    assert page.select_one(".admonition.note")
    assert page.select_one(".highlight button, .highlight pre code")
    assert {a.get("href") for a in page.select("p a")} >= {"../../../#here", "small.ipynb"}
    assert page.select_one('a[href$="api/#backbones.create_model"]')
    assert [output.get_text().strip() for output in page.select("pre.notebook-output")] == ["printed 42"]
    assert not page.select("style, script")
    assert "printed 42" in (folder / "small.ipynb").read_text()

    light, dark = page.select("figure img")
    assert light["alt"] == dark["alt"] == "A line that rises."
    assert light["src"].endswith("#only-light")
    assert dark["src"].endswith("#only-dark")
    files = [(folder / img["src"].partition("#")[0]).read_text() for img in (light, dark)]
    assert "viewBox" in files[0]
    assert "#000000" in files[0]
    assert "#000000" not in files[1]


@pytest.mark.parametrize(
    ("cell", "reason"),
    [
        ("deep = {}\ndeep['missing']", "KeyError: 'missing'"),
        ("import os\nos.write(2, b'out of sight')\nos.abort()", "The kernel died"),
        ("import time\ntime.sleep(60)", "longer than 3 s"),
    ],
    ids=["raises", "dies", "takes too long"],
)
def test_a_failing_cell_stops_the_build_and_the_last_site_stays(site, cell, reason):
    site.write("site/index.html", "the last good one")
    site.cells(TEXT, "fine = 1", cell)
    config = (site.folder / "mkdocs.yml").read_text()
    site.write("mkdocs.yml", config.replace("notebook_cell_timeout: 60", "notebook_cell_timeout: 3"))
    code, told = site.build()
    assert code == 1
    assert "docs/tutorials/lenet/small.ipynb: cell 3 of 3 failed" in told
    assert cell in told
    assert reason in told
    assert "\x1b" not in told
    assert "Traceback (most recent call last):\n  File" not in told  # the notebook's, not the builder's
    assert (site.folder / "site/index.html").read_text() == "the last good one"
    assert not (site.folder / ".site-building").exists()


def test_notebooks_run_side_by_side_and_the_first_failure_ends_all(site):
    """Two that wait for each other can only end well together; one that fails does not wait for the other."""
    wait = """import time
from pathlib import Path
Path("{mine}").touch()
while not Path("{other}").exists():
    time.sleep(0.05)"""
    site.cells("# Left", wait.format(mine="left", other="right"))
    site.write("docs/tutorials/lenet/right.ipynb", (site.folder / NOTEBOOK).read_text())
    site.cells("# Right", wait.format(mine="right", other="left"))
    site.write("docs/index.md", "# Home\n")
    code, told = site.build()
    assert code == 0, told
    site.cells("# Right", "1 / 0")
    site.write("docs/tutorials/lenet/right.ipynb", (site.folder / NOTEBOOK).read_text())
    site.cells("# Left", "import time\ntime.sleep(50)")
    start = time.perf_counter()
    code, told = site.build()
    assert code == 1
    assert "right.ipynb: cell 2 of 2 failed" in told
    assert time.perf_counter() - start < 45


def test_what_no_reader_should_meet_stops_the_build(site):
    site.write("site/index.html", "the last good one")
    links = "[1](gone.md) [2](../../index.md#nowhere) [3][backbones.nothing]"
    warning = "import warnings; warnings.warn('beware')"
    site.cells(f"# Small\n\n## Part two\n\n{links}", warning, FIGURE.replace("A line that rises.", ""))
    code, told = site.build()
    assert code == 1
    problems = [line for line in told.splitlines() if line.startswith("WARNING")]
    for named in ("gone.md", "#nowhere", "backbones.nothing", "beware", "without a text in its place"):
        assert [line for line in problems if named in line and "lenet/small.ipynb" in line], (named, told)
    assert (site.folder / "site/index.html").read_text() == "the last good one"


def test_the_server_reruns_only_what_changed_and_survives_mistakes(site, tmp_path):
    """It uses a build's run; an edited page shows without a new one; a changed or broken notebook runs."""
    for _ in range(2):
        code, told = site.build()
        assert code == 0, told
    assert site.runs == 2
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    log = tmp_path / "log"
    with log.open("w") as output:
        server = subprocess.Popen(
            **site.command("serve", "--dev-addr", address, "--livereload"), stdout=output, stderr=output
        )
    try:
        wait_for(log, "Serving on")

        def get(path: str) -> str:
            with urllib.request.urlopen(f"http://{address}/{path}") as answer:
                return answer.read().decode()

        assert "printed 42" in get("tutorials/lenet/small/")
        assert site.runs == 2

        site.write("docs/index.md", "# Home\n\n## Here\n\nEdited, [see][backbones.create_model].\n")
        wait_for(log, "Documentation built", times=2)
        assert "Edited" in get("")
        assert "small/" in get("search/search_index.json")
        assert site.runs == 2

        site.cells(TEXT, "raise ValueError('broken')")
        wait_for(log, "ValueError: broken")
        site.cells(TEXT, "print('mended')")
        wait_for(log, "Documentation built", times=3)
        assert "mended" in get("tutorials/lenet/small/")
    finally:
        server.terminate()
        server.wait()


def wait_for(log: Path, text: str, times: int = 1) -> str:
    for _ in range(900):
        told = log.read_text()
        if told.count(text) >= times:
            return told
        time.sleep(0.1)
    raise AssertionError(f"{text!r} did not come {times} times:\n{told}")


def test_a_run_depends_on_the_package_but_not_on_other_architectures(tmp_path, monkeypatch):
    package = tmp_path / "backbones"
    for file in ("__init__.py", "data.py", "lenet/spec.py", "vgg/spec.py"):
        (package / file).parent.mkdir(parents=True, exist_ok=True)
        (package / file).write_text("")
    notebook = tmp_path / "tutorials/lenet/a.ipynb"
    notebook.parent.mkdir(parents=True)
    notebook.write_text("{}")
    code = (
        "import sys; sys.path[:0] = sys.argv[1:3]; import running; from pathlib import Path; "
        "print(running.key(Path(sys.argv[3])))"
    )

    def key() -> str:
        arguments = [str(tmp_path), str(ROOT / "docs/_hooks"), str(notebook)]
        return subprocess.check_output([sys.executable, "-c", code, *arguments], text=True)

    keys = [key()]
    for file in ("vgg/spec.py", "data.py", "lenet/spec.py"):
        (package / file).write_text("changed = True")
        keys.append(key())
    notebook.write_text('{"cells": []}')
    keys.append(key())
    assert keys[0] == keys[1]
    assert len(set(keys)) == 4
