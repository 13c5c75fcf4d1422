"""How the tutorials become pages: run in every build, rendered like every other page, and never half published.

mkdocs-jupyter finds the notebooks and turns their outputs into HTML. This hook mends what it leaves open:

- a cell that raises, runs too long or kills its kernel stops the build and is named (`Runner`);
- `mkdocs build` runs every notebook anew; `mkdocs serve` reuses a run while the notebook, the package's sources and
  the versions of the frameworks are the same (`key`);
- text and code go through the site's own Markdown, so that links are checked and mathematics, admonitions, contents
  and copy buttons work as elsewhere (`render`);
- figures leave the page for files of their own, one per colour scheme (`move_figures`);
- the site is built beside the last good one and takes its place only when all went well (`on_shutdown`).
"""

from __future__ import annotations

import base64
import hashlib
import importlib.metadata
import importlib.util
import logging
import os
import re
import shutil
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import IO, Any

import mkdocs_jupyter.nbconvert2
import mkdocs_jupyter.plugin
import nbformat
from mkdocs.exceptions import PluginError
from mkdocs.structure.pages import Page
from mkdocs_jupyter.config import settings
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbconvert.exporters.templateexporter import default_filters
from nbconvert.preprocessors import ExecutePreprocessor
from nbformat import NotebookNode
from traitlets.config import Config

log = logging.getLogger("mkdocs.plugins.notebooks")

CELL_BREAK = "<!-- cell -->"
COLOUR_CODES = re.compile(r"\x1b\[[0-9;]*m")
FIGURE = re.compile(r'<figure class="notebook-figure" data-alt="(.*?)" data-svg="(.*?)"></figure>', re.DOTALL)
INK, INK_ON_DARK = "#000000", "#e2e4e9"
VERSIONS_IN_KEY = ("torch", "tensorflow-cpu", "tensorflow", "keras", "numpy", "matplotlib")

# One build at a time runs in a process; what it has to remember from one event to the next:
serving = False  # `mkdocs serve`, not `mkdocs build`
cache = Path()  # the notebooks with their outputs
published: Path | None = None  # where the site goes if the build succeeds
finished = False
seconds: dict[str, float] = {}  # notebook -> how long it ran
pieces: list[str] = []  # the cells of the notebook that is being rendered, as HTML without outputs


# Running


class Runner(ExecutePreprocessor):
    """Runs one notebook, says how long it took, keeps it with its outputs, and names the cell that fails."""

    running: tuple[int, NotebookNode]  # the cell, and where it stands
    noise: IO[bytes]  # what the kernel's process writes to stderr

    def preprocess(self, nb: NotebookNode, resources: Any = None, km: Any = None) -> tuple[NotebookNode, Any]:
        """Run all cells, unless a run of this very notebook is kept (which `mkdocs build` never is)."""
        path = Path(resources["metadata"]["path"]) / f"{resources['metadata']['name']}.ipynb"
        kept = kept_run(path)
        if kept.exists():
            executed = nbformat.read(kept, as_version=4)
            if executed.metadata.get("run") == key(path):
                return executed, resources
        nb.metadata["run"] = key(path)
        self.run(nb, resources, name=path.resolve().relative_to(cache.parents[1].resolve()).as_posix())
        kept.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(nb, kept)
        return nb, resources

    def run(self, nb: NotebookNode, resources: Any, name: str) -> None:
        """Run all cells; a failure is a `PluginError`, which stops the build."""
        log.info("Running %s", name)
        start = time.perf_counter()
        with tempfile.TemporaryFile() as self.noise:
            try:
                super().preprocess(nb, resources)
            except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
                raise PluginError(self.explain(name, error)) from error
        seconds[name] = time.perf_counter() - start
        log.info("Ran %s in %.0f s", name, seconds[name])
        for index, cell in enumerate(nb.cells, start=1):
            for output in cell.get("outputs", []):
                if problem := problem_of(output):
                    log.warning("%s, cell %d %s", name, index, problem)

    def create_kernel_manager(self) -> Any:
        """A kernel of the Python that builds the site, whatever else is installed under the kernel's name."""
        manager = super().create_kernel_manager()
        manager.kernel_spec.argv[0] = sys.executable
        return manager

    def setup_kernel(self, **options: Any) -> Any:
        """Keep what libraries in C write to stderr: out of sight, but told when the kernel dies."""
        return super().setup_kernel(stderr=self.noise, **options)

    def preprocess_cell(
        self, cell: NotebookNode, resources: Any, index: int
    ) -> tuple[NotebookNode, dict[str, Any]]:
        """Remember which cell runs, since a dead kernel does not say."""
        self.running = index, cell
        return super().preprocess_cell(cell, resources, index)

    def explain(self, name: str, error: Exception) -> str:
        """What failed, where, and why."""
        index, cell = self.running
        if isinstance(error, CellExecutionError):
            lines = [line for out in cell.outputs if out.output_type == "error" for line in out.traceback]
            reason = COLOUR_CODES.sub("", "\n".join(lines))
        elif isinstance(error, CellTimeoutError):
            reason = f"The cell ran longer than {self.timeout} s (extra.notebook_cell_timeout in mkdocs.yml)."
        else:
            self.noise.seek(0)
            last_words = self.noise.read().decode(errors="replace")[-3000:]
            reason = f"The kernel died: it crashed, ran out of memory or was ended.\n{last_words}"
        return f"{name}: cell {index + 1} of {len(self.nb.cells)} failed.\n\n{cell.source}\n\n{reason}"


def problem_of(output: NotebookNode) -> str | None:
    """What no page should show: warnings of libraries, and pictures that a blind reader gets nothing from."""
    if output.get("name") == "stderr":
        return f"wrote to stderr: {output.text.strip()[:500]}"
    kinds = output.get("data", {}).keys()
    if "image/png" in kinds or ("image/svg+xml" in kinds and not output.data.get("text/plain")):
        return "shows a picture without a text in its place: use backbones.figures.show(figure, alt=...)"
    return None


def kept_run(notebook: str | Path) -> Path:
    """Where a notebook is kept with its outputs."""
    root = cache.parents[1]
    return cache / Path(os.path.relpath(notebook, root / "docs"))


def key(notebook: Path) -> str:
    """What a run depends on: the notebook, the versions, and the package except other architectures."""
    digest = hashlib.sha256(notebook.read_bytes())
    spec = importlib.util.find_spec("backbones")
    assert spec is not None
    assert spec.origin is not None
    package = Path(spec.origin).parent
    for source in sorted(package.rglob("*.py")):
        family = source.relative_to(package).parts[0]
        if family == notebook.parent.name or not (package / family / "spec.py").exists():
            digest.update(source.read_bytes())
    for name in VERSIONS_IN_KEY:
        try:
            digest.update(f"{name} {importlib.metadata.version(name)}".encode())
        except importlib.metadata.PackageNotFoundError:
            continue  # only one of the two TensorFlow packages is there
    return digest.hexdigest()


# Events of the build, in their order


def on_startup(command: str, dirty: bool) -> None:
    """Learn whether this is a build or a server, and take mkdocs-jupyter's inner functions in hand."""
    global serving
    serving = command == "serve"
    settings.templates_dir = str(Path(__file__).parent / "templates")
    default_filters["cell_html"] = pieces.__getitem__
    # nbconvert parses the page as HTML, which knows no capitals: SVG's viewBox would be lost.
    default_filters["packed"] = lambda svg: base64.b64encode(svg.encode()).decode()
    # Contents and title come from the site's own Markdown: see `render`.
    mkdocs_jupyter.plugin._get_nb_toc_tokens = lambda path, depth: ([], None)


def on_config(config):
    """Settings that follow from the project's metadata and from the command."""
    global cache, published
    config.repo_url = repository_address()
    config.repo_name = config.repo_url.removeprefix("https://github.com/")
    cache = Path(config.config_file_path).parent / ".cache" / "notebooks"
    use_runner(config.extra["notebook_cell_timeout"])
    if not serving:
        owner, name = config.repo_name.split("/")
        config.site_url = os.environ.get("SITE_URL") or f"https://{owner.lower()}.github.io/{name}/"
        shutil.rmtree(cache, ignore_errors=True)
        published = Path(config.site_dir)
        config.site_dir = str(unfinished(published))
    return config


def repository_address() -> str:
    """The repository's address; its one home is pyproject.toml."""
    urls = importlib.metadata.metadata("backbones").get_all("Project-URL") or []
    return next(url.split(", ")[1] for url in urls if url.startswith("Repository"))


def use_runner(timeout: int) -> None:
    """Let mkdocs-jupyter's converter run notebooks with `Runner`, whatever the user's own settings of Jupyter."""
    # Only what Python writes belongs to a cell: what libraries in C write differs from machine to machine.
    kernel = ["--IPKernelApp.capture_fd_output=False"]
    options = {
        "enabled": True,
        "kernel_name": "python3",
        "timeout": timeout,
        "coalesce_streams": True,  # what a cell prints bit by bit is one output
        "extra_arguments": kernel,
    }
    settings = Config(Exporter={"default_preprocessors": [Runner]}, Runner=options)
    mkdocs_jupyter.nbconvert2.get_nbconvert_app = lambda **_: SimpleNamespace(config=settings)


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
    page.markdown = f"\n\n{CELL_BREAK}\n\n".join(
        cell.source if cell.cell_type == "markdown" else f"~~~~~python\n{cell.source}\n~~~~~"
        for cell in notebook.cells
    )
    Page.render(page, config, files)
    assert page.content is not None
    pieces[:] = page.content.split(CELL_BREAK)
    toc = page.toc
    convert(config, files)
    page.toc = toc
    # mkdocs-jupyter appends the style sheet of a notebook application.
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
    shutil.copy(kept_run(str(page.file.abs_src_path)), folder)
    return move_figures(output, folder)


def move_figures(page: str, folder: Path) -> str:
    """Put each SVG into a file, and a second one with light ink for the dark colour scheme."""
    counter = iter(range(1, 1000))

    def move(match: re.Match[str]) -> str:
        alt, svg = match[1], base64.b64decode(match[2]).decode()
        number = next(counter)
        names = {"light": f"figure-{number}.svg", "dark": f"figure-{number}-dark.svg"}
        (folder / names["light"]).write_text(svg, encoding="utf-8")
        # Matplotlib leaves black out where it is SVG's own default.
        dark = svg.replace(INK, INK_ON_DARK).replace("<svg", f'<svg fill="{INK_ON_DARK}"', 1)
        (folder / names["dark"]).write_text(dark, encoding="utf-8")
        points = {side: float(length) for side, length in re.findall(r'(width|height)="([\d.]+)pt"', svg)}
        size = " ".join(f'{side}="{length * 4 / 3:.0f}"' for side, length in points.items())
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


def unfinished(site: Path) -> Path:
    """Where a site is built before it takes its place."""
    return site.with_name(f".{site.name}-building")


def on_shutdown() -> None:
    """Put the new site in its place, unless the build stopped (strict mode stops after `on_post_build`)."""
    if published is None:
        return
    if finished and sys.exc_info()[0] is None:
        shutil.rmtree(published, ignore_errors=True)
        unfinished(published).rename(published)
        return
    shutil.rmtree(unfinished(published), ignore_errors=True)
    if published.exists():
        log.info("The build failed; %s is still the last good site", published.name)
