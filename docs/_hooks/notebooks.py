"""How the tutorials become pages: run in every build, rendered like every other page, and never half published.

mkdocs-jupyter converts and runs the notebooks. This hook mends what it leaves open:

- a cell that raises, runs too long or kills its kernel stops the build and is named (`Runner`);
- `mkdocs build` runs every notebook anew; `mkdocs serve` reuses a run only while the notebook, the package's
  sources and the frameworks' versions are the same (`cache_key`);
- Markdown and code cells go through the site's own Markdown, so that links are checked and mathematics,
  admonitions, contents and copy buttons work as elsewhere (`render`);
- figures leave the page for files of their own, one per colour scheme (`move_figures`);
- the site is built beside the last good one and takes its place only when all went well (`on_shutdown`).
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import logging
import os
import re
import shutil
import sys
import time
from pathlib import Path
from typing import Any

import mkdocs_jupyter.nbconvert2
import mkdocs_jupyter.plugin
import nbformat
from jinja2 import pass_context
from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page
from mkdocs_jupyter.config import settings
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert.exporters import HTMLExporter
from nbconvert.preprocessors import ExecutePreprocessor

log = logging.getLogger("mkdocs.plugins.notebooks")

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / ".cache" / "notebooks"
CELL_BREAK = "<!-- cell -->"
COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")
VERSIONS_IN_KEY = ("torch", "tensorflow-cpu", "tensorflow", "keras", "numpy", "nbconvert", "mkdocs-jupyter")
INK, INK_ON_DARK = "#000000", "#e2e4e9"

# TensorFlow's greetings would stand on the pages.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

command = "build"
published: Path | None = None  # where the site goes if the build succeeds
finished = False
seconds: dict[str, float] = {}  # notebook -> how long it ran
pieces: dict[str, str] = {}  # source of a cell -> its HTML, for the notebook that is being rendered


class Runner(ExecutePreprocessor):
    """Runs one notebook, says how long it took, keeps it with its outputs, and names the cell that fails."""

    def preprocess(self, nb, resources, km=None):
        """Run all cells; a failure is a `PluginError`, which stops the build."""
        path = Path(resources["metadata"]["path"]) / f"{resources['metadata']['name']}.ipynb"
        name = (
            path.resolve().relative_to(ROOT).as_posix() if path.resolve().is_relative_to(ROOT) else path.name
        )
        log.info("Running %s", name)
        start = time.perf_counter()
        try:
            nb, resources = super().preprocess(nb, resources, km)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise PluginError(self.told(name, error)) from error
        seconds[name] = time.perf_counter() - start
        log.info("Ran %s in %.0f s", name, seconds[name])
        self.warn_of_stderr(nb, name)
        CACHE.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, executed_copy(path))
        return nb, resources

    def preprocess_cell(self, cell, resources, index):
        """Remember which cell runs, since a dead kernel does not say."""
        self.running = index, cell.source
        return super().preprocess_cell(cell, resources, index)

    def told(self, name: str, error: Exception) -> str:
        """What failed, where, and why."""
        index, source = self.running
        if isinstance(error, CellExecutionError):
            reason = COLOUR_CODES.sub("", error.traceback)
        elif isinstance(error, CellTimeoutError):
            reason = f"the cell ran longer than {self.timeout} s (extra.notebook_cell_timeout in mkdocs.yml)"
        else:
            reason = "the kernel died: it crashed, ran out of memory or was ended"
        return f"{name}, cell {index + 1} failed:\n\n{source}\n\n{reason}"

    @staticmethod
    def warn_of_stderr(nb, name: str) -> None:
        """What a library grumbles must not reach the page unseen."""
        for index, cell in enumerate(nb.cells):
            for output in cell.get("outputs", []):
                if output.get("name") == "stderr":
                    log.warning("%s, cell %d wrote to stderr: %s", name, index + 1, output.text.strip()[:500])


def on_startup(command: str, dirty: bool) -> None:
    """Learn whether this is a build or a server, and take mkdocs-jupyter's inner functions in hand."""
    globals()["command"] = command
    settings.templates_dir = str(Path(__file__).parent / "templates")
    # Contents and title come from the site's own Markdown: see `render`.
    mkdocs_jupyter.plugin._get_nb_toc_tokens = lambda path, depth: ([], None)
    HTMLExporter.markdown2html = pass_context(lambda self, context, source: pieces[source])


def on_config(config):
    """Settings that follow from the project's metadata and from the command."""
    global published
    config.repo_url = repository_address()
    config.repo_name = config.repo_url.removeprefix("https://github.com/")
    owner, name = config.repo_name.split("/")
    config.site_url = os.environ.get("SITE_URL") or f"https://{owner.lower()}.github.io/{name}/"
    plugin = config.plugins["mkdocs-jupyter"]
    plugin.config["cache_dir"] = str(CACHE)
    use_runner(config.extra["notebook_cell_timeout"])
    if command == "build":
        shutil.rmtree(CACHE, ignore_errors=True)
        published = Path(config.site_dir)
        config.site_dir = str(published.with_name(f".{published.name}-building"))
    return config


def repository_address() -> str:
    """The repository's address; its one home is pyproject.toml."""
    urls = importlib.metadata.metadata("backbones").get_all("Project-URL") or []
    return next(url.split(", ")[1] for url in urls if url.startswith("Repository"))


_plain_app = mkdocs_jupyter.nbconvert2.get_nbconvert_app
_plain_key = mkdocs_jupyter.plugin._compute_cache_key


def use_runner(timeout: int) -> None:
    """Let mkdocs-jupyter's converter run notebooks with `Runner`."""

    def app(**options):
        made = _plain_app(**options)
        made.config["ExecutePreprocessor"]["timeout"] = timeout
        made.config.Exporter.default_preprocessors = [
            Runner,
            "nbconvert.preprocessors.CSSHTMLHeaderPreprocessor",
        ]
        return made

    mkdocs_jupyter.nbconvert2.get_nbconvert_app = app
    mkdocs_jupyter.plugin._compute_cache_key = cache_key


def cache_key(path: str, options: Any, execute: bool) -> str:
    """The notebook, the options, the versions, and the package's sources except other architectures'."""
    key = hashlib.sha256(_plain_key(path, options, execute).encode())
    own = Path(path).parent.name
    for source in sorted((ROOT / "backbones").rglob("*.py")):
        family = source.relative_to(ROOT / "backbones").parts[0]
        if family == own or not (ROOT / "backbones" / family / "spec.py").exists():
            key.update(source.read_bytes())
    for package in VERSIONS_IN_KEY:
        try:
            key.update(f"{package} {importlib.metadata.version(package)}".encode())
        except importlib.metadata.PackageNotFoundError:
            continue
    return key.hexdigest()


def executed_copy(path: str | Path) -> Path:
    """Where the notebook with its outputs is kept: the last run, as mkdocs-jupyter keeps the last run's page."""
    return CACHE / Path(path).name


def is_notebook(page: Page) -> bool:
    """Whether a page is made from a notebook."""
    return page.file.src_uri.endswith(".ipynb")


def on_pre_page(page: Page, config, files):
    """After mkdocs-jupyter has put its own `render` on the page: put ours around it."""
    if is_notebook(page):
        convert = page.render
        page.render = lambda config, files: render(page, config, files, convert)  # type: ignore[method-assign]
    return page


def render(page: Page, config, files, convert) -> None:
    """Render all cells as one Markdown page, then let mkdocs-jupyter put the outputs between the pieces."""
    notebook = nbformat.read(page.file.abs_src_path, as_version=4)
    sources = [cell.source for cell in notebook.cells]
    page.markdown = f"\n\n{CELL_BREAK}\n\n".join(
        cell.source if cell.cell_type == "markdown" else f"~~~~~python\n{cell.source}\n~~~~~"
        for cell in notebook.cells
    )
    Page.render(page, config, files)
    assert page.content is not None
    pieces.clear()
    pieces.update(zip(sources, page.content.split(CELL_BREAK), strict=True))
    toc = page.toc
    convert(config, files)
    page.toc = toc
    # mkdocs-jupyter appends the style sheets of a whole notebook application.
    page.content = re.sub(r"<style>.*?</style>", "", page.content, flags=re.DOTALL)


def on_page_content(content: str, page: Page, config, files) -> str:
    """Offer the notebook itself: in Colab, as a file with outputs, as its source."""
    if not is_notebook(page):
        return content
    # docs/tutorials is a link to tutorials: the same path serves both.
    repository, path = config.repo_name, page.file.src_uri
    links = {
        "Open in Colab": f"https://colab.research.google.com/github/{repository}/blob/main/{path}",
        "Download with outputs": Path(path).name,
        "Source": f"{config.repo_url}/blob/main/{path}",
    }
    bar = "".join(f'<a class="md-button" href="{address}">{label}</a>' for label, address in links.items())
    return content.replace("</h1>", f'</h1>\n<p class="notebook-links">{bar}</p>', 1)


def on_post_page(output: str, page: Page, config) -> str:
    """Put the executed notebook and the figures beside the page."""
    if not is_notebook(page):
        return output
    folder = Path(page.file.abs_dest_path).parent
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(executed_copy(page.file.abs_src_path), folder / Path(page.file.src_uri).name)
    return move_figures(output, folder)


FIGURE = re.compile(
    r'<figure class="notebook-figure" data-alt="(.*?)">\s*(<svg.*?</svg>)\s*</figure>', re.DOTALL
)


def move_figures(page: str, folder: Path) -> str:
    """Each SVG in a file, and a second one with light ink for the dark colour scheme."""
    counter = iter(range(1, 1000))

    def move(match: re.Match[str]) -> str:
        alt, svg = match.groups()
        number = next(counter)
        names = {"light": f"figure-{number}.svg", "dark": f"figure-{number}-dark.svg"}
        (folder / names["light"]).write_text(svg, encoding="utf-8")
        dark = svg.replace(INK, INK_ON_DARK).replace("<svg", f'<svg fill="{INK_ON_DARK}"', 1)
        (folder / names["dark"]).write_text(dark, encoding="utf-8")
        width, height = re.findall(r'(?:width|height)="([\d.]+)pt"', svg)[:2]
        size = f'width="{float(width) * 4 / 3:.0f}" height="{float(height) * 4 / 3:.0f}"'
        images = "".join(
            f'<img src="{file}#only-{scheme}" alt="{alt}" {size} loading="lazy">'
            for scheme, file in names.items()
        )
        return f'<figure class="notebook-figure">{images}</figure>'

    return FIGURE.sub(move, page)


def on_post_build(config) -> None:
    """Say how long each notebook took."""
    global finished
    finished = True
    if seconds:
        width = max(map(len, seconds))
        lines = [f"  {name:{width}} {spent:6.0f} s" for name, spent in seconds.items()]
        log.info("Notebooks run in this build:\n%s", "\n".join(lines))
        seconds.clear()


def on_shutdown() -> None:
    """Swap the new site in, unless the build stopped on the way (strict mode stops after `on_post_build`)."""
    if published is None:
        return
    building = published.with_name(f".{published.name}-building")
    failed = not finished or sys.exc_info()[0] is not None
    if failed:
        shutil.rmtree(building, ignore_errors=True)
        if published.exists():
            log.info("The build failed; %s is still the last good site", published.name)
        return
    shutil.rmtree(published, ignore_errors=True)
    building.rename(published)
