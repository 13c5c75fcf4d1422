"""Makes `mkdocs serve` quick: when only Markdown pages have changed, only they are built again.

MkDocs rebuilds the whole site after every edit. Its `--dirty` mode does not, but never looks at anything but the
pages themselves. Here a build is a dirty one exactly if nothing else that the site is made of has changed.
"""

from __future__ import annotations

import logging
from pathlib import Path

import mkdocs.commands.build
import mkdocs.commands.serve
from jinja2 import Environment, FileSystemBytecodeCache

built_from: dict[str, float] | None = None  # what the last build that went well was made of
whole = True  # the build at work is of all pages
references: dict[str, object] = {}  # where the last whole build put what other pages refer to


def on_startup(command: str, dirty: bool) -> None:
    """Take the place of the function that the server builds with."""
    if command == "serve":
        mkdocs.commands.serve.build = build
        # It would warn of an inaccurate menu: not here, since a page that comes or goes leads to a whole build.
        logging.getLogger("mkdocs.commands.build").addFilter(lambda record: "'dirty' build" not in record.msg)


def build(config, *, serve_url: str | None = None, dirty: bool = False) -> None:
    """Build the site, or only the edited pages where that is enough."""
    global built_from, whole
    before, built_from = built_from, None
    now = ingredients(config)
    whole = before != now
    if not whole:
        config.plugins["material/search"].config.enabled = False  # the index of the last whole build stays
    mkdocs.commands.build.build(config, serve_url=serve_url, dirty=dirty or not whole)
    built_from = now


def ingredients(config) -> dict[str, float]:
    """All files that the site is made of, with the times of their last changes; of pages, only that they exist."""
    folders = [config.docs_dir, *config.watch]
    files = [
        path for folder in folders for path in Path(folder).rglob("*.*") if "__pycache__" not in path.parts
    ]
    files.append(Path(config.config_file_path))
    hidden = Path(config.docs_dir, "_hooks")
    return {
        str(path): 0 if path.suffix == ".md" and hidden not in path.parents else path.stat().st_mtime
        for path in files
    }


def on_pre_build(config) -> None:
    """Let an edited page refer to API pages that are not built this time."""
    if not whole:
        vars(config.plugins["autorefs"]).update(references)


def on_env(env: Environment, config, files) -> None:
    """Keep those references, and the compiled templates, which take half a second."""
    global references
    autorefs = vars(config.plugins["autorefs"])
    references = {name: autorefs[name] for name in autorefs if name.endswith("_map")}
    folder = Path(config.config_file_path).parent / ".cache" / "templates"
    folder.mkdir(parents=True, exist_ok=True)
    env.bytecode_cache = FileSystemBytecodeCache(str(folder))
