"""How the tutorials become pages: run in every build, rendered like every other page, and never half published.

mkdocs-jupyter finds the notebooks and turns their outputs into HTML. This hook mends what it leaves open:

- they run side by side before the first page is built, and a cell that fails stops the build: see `running.py`;
- text and code go through the site's own Markdown, so that links are checked and mathematics, admonitions, contents
  and copy buttons work as elsewhere (`render`);
- a comment `<!-- recorded: vgg -->` gives way to the record of that study, which takes too long for a notebook;
- figures leave the page for files of their own, one per colour scheme (`move_figures`);
- the site is built beside the last good one and takes its place only when all went well (`on_shutdown`).
"""

from __future__ import annotations

import base64
import logging
import os
import re
import shutil
import sys
from itertools import count
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import mkdocs_jupyter.nbconvert2
import mkdocs_jupyter.plugin
import nbformat
from ablations import ablation
from address import repository_address
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page
from mkdocs_jupyter.config import settings
from nbconvert.exporters.templateexporter import default_filters
from nbconvert.preprocessors import Preprocessor
from nbformat import NotebookNode
from running import kept_run, run_all
from traitlets.config import Config

log = logging.getLogger("mkdocs.plugins.notebooks")

CELL_BREAK = "<!-- cell -->"
RECORDED = re.compile(r"<!-- recorded: (\w+) -->")
FIGURE = re.compile(r'<figure class="notebook-figure" data-alt="(.*?)" data-svg="(.*?)"></figure>', re.DOTALL)
INK, INK_ON_DARK = "#000000", "#e2e4e9"

# One build at a time runs in a process; what it has to remember from one event to the next:
serving = False  # `mkdocs serve`, not `mkdocs build`
cache = Path()  # the notebooks with their outputs
published: Path | None = None  # where the site goes if the build succeeds
finished = False
pieces: list[str] = []  # the cells of the notebook that is being rendered, as HTML without outputs


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
    Kept.docs = Path(config.docs_dir)
    converter = SimpleNamespace(
        config=Config(Exporter={"default_preprocessors": [Kept]}, Kept={"enabled": True})
    )
    mkdocs_jupyter.nbconvert2.get_nbconvert_app = lambda **_: converter
    if not serving:
        owner, name = config.repo_name.split("/")
        config.site_url = os.environ.get("SITE_URL") or f"https://{owner.lower()}.github.io/{name}/"
        shutil.rmtree(cache, ignore_errors=True)
        published = Path(config.site_dir)
        config.site_dir = str(unfinished(published))
    return config


def on_files(files: Files, config) -> None:
    """Run the notebooks before any page is built, in the order of the menu: the longest come first there."""
    notebooks = [Path(str(file.abs_src_path)) for file in files if is_notebook(file)]
    menu = str(config.nav)
    notebooks.sort(key=lambda path: menu.find(path.name))
    seconds = run_all(notebooks, cache, Path(config.docs_dir), config.extra["notebook_cell_timeout"])
    if seconds:
        width = max(map(len, seconds))
        lines = [f"  {name:{width}} {spent:6.0f} s" for name, spent in seconds.items()]
        log.info("Notebooks run in this build:\n%s", "\n".join(lines))


class Kept(Preprocessor):
    """Hands mkdocs-jupyter's converter the notebook as it was run."""

    docs: Path

    def preprocess(self, nb: NotebookNode, resources: Any) -> tuple[NotebookNode, Any]:
        """The kept run in place of the notebook."""
        path = Path(resources["metadata"]["path"]) / f"{resources['metadata']['name']}.ipynb"
        return nbformat.read(kept_run(path, cache, self.docs), as_version=4), resources


def is_notebook(file: File) -> bool:
    """Whether a page is made from a notebook."""
    return file.src_uri.endswith(".ipynb")


def on_pre_page(page: Page, config, files):
    """After mkdocs-jupyter has put its own `render` on the page: put ours around it."""
    if is_notebook(page.file):
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
    page.markdown = RECORDED.sub(lambda topic: ablation(topic[1]), page.markdown)
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
    if not is_notebook(page.file):
        return content
    # docs/tutorials is a link to tutorials.
    root = Path(config.config_file_path).parent.resolve()
    repository, path = (
        config.repo_name,
        Path(str(page.file.abs_src_path)).resolve().relative_to(root).as_posix(),
    )
    links = {
        "Open in Colab": f"https://colab.research.google.com/github/{repository}/blob/main/{path}",
        "Download with outputs": Path(path).name,
        "Source": f"{config.repo_url}/blob/main/{path}",
    }
    bar = "".join(f'<a class="md-button" href="{address}">{label}</a>' for label, address in links.items())
    return content.replace("</h1>", f'</h1>\n<p class="notebook-links">{bar}</p>', 1)


def on_post_page(output: str, page: Page, config) -> str:
    """Put the executed notebook and the figures beside the page."""
    if not is_notebook(page.file):
        return output
    folder = Path(page.file.abs_dest_path).parent
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy(kept_run(Path(str(page.file.abs_src_path)), cache, Path(config.docs_dir)), folder)
    return move_figures(output, folder)


def move_figures(page: str, folder: Path) -> str:
    """Put each SVG into a file, and a second one with light ink for the dark colour scheme."""
    counter = count(1)

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
    """Remember that every page was built."""
    global finished
    finished = True


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
