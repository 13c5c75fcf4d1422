"""Makes `mkdocs serve` quick: it opens with the last site if nothing has changed, and builds edited pages alone.

MkDocs builds the whole site when the server starts and after every edit. Its `--dirty` mode does not, but never looks
at anything but the pages themselves. Here a build is a dirty one exactly if nothing else that the site is made of has
changed, and none at all if nothing has changed since the last whole build of either command.
"""

from __future__ import annotations

import hashlib
import json
import logging
import shutil
import sysconfig
from pathlib import Path

import mkdocs.commands.build
import mkdocs.commands.serve
from jinja2 import Environment, FileSystemBytecodeCache

mkdocs_build = mkdocs.commands.build.build
built_from: dict[str, str] | None = None  # what the last build that went well was made of
whole = True  # the build at work is of all pages
references: dict[str, dict] = {}  # where the last whole build put what other pages refer to


def on_startup(command: str, dirty: bool) -> None:
    """Take the place of the function that the site is built with."""
    if command == "serve":
        mkdocs.commands.serve.build = build_for_server
        # It would warn of an inaccurate menu: not here, since a page that comes or goes leads to a whole build.
        logging.getLogger("mkdocs.commands.build").addFilter(lambda record: "'dirty' build" not in record.msg)
    else:
        mkdocs.commands.build.build = build_and_keep


def build_and_keep(config, **options) -> None:
    """Build the whole site, and keep a copy for a server that starts later."""
    made_of = ingredients(config)
    mkdocs_build(config, **options)
    keep(config, made_of)


def build_for_server(config, *, serve_url: str | None = None, dirty: bool = False) -> None:
    """Build the site, or only the edited pages where that is enough."""
    global built_from, whole
    before, built_from = built_from, None
    now = ingredients(config)
    whole = before is None or but_for_pages(before) != but_for_pages(now)
    if before is None and open_kept(config, now):
        logging.getLogger("mkdocs").info("Nothing has changed since the last build")
    elif whole:
        mkdocs_build(config, serve_url=serve_url, dirty=dirty)
        keep(config, now)
    else:
        config.plugins["material/search"].config.enabled = False  # the index of the last whole build stays
        mkdocs_build(config, serve_url=serve_url, dirty=True)
    built_from = now


def ingredients(config) -> dict[str, str]:
    """All files that the site is made of, with what they hold; of the installed packages, when they last changed."""
    folders = [config.docs_dir, *config.watch]
    files = [
        path for folder in folders for path in Path(folder).rglob("*.*") if "__pycache__" not in path.parts
    ]
    files = [*filter(Path.is_file, files), Path(config.config_file_path)]
    installed = Path(sysconfig.get_path("purelib"))
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files} | {
        str(installed): str(installed.stat().st_mtime)
    }


def but_for_pages(files: dict[str, str]) -> dict[str, str]:
    """The same, but of the Markdown pages only that they exist."""
    return {
        name: "" if name.endswith(".md") and "_hooks" not in Path(name).parts else content
        for name, content in files.items()
    }


def keep(config, made_of: dict[str, str]) -> None:
    """Keep a site, with what it was made of and what its pages refer to."""
    folder = _kept(config)
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(config.site_dir, folder / "site")
    # Last, so that a copy that was cut off does not count.
    (folder / "kept.json").write_text(json.dumps({"made_of": made_of, "references": references}))


def open_kept(config, made_of: dict[str, str]) -> bool:
    """Put the kept site in the server's place, if it was made of the same."""
    global references
    file = _kept(config) / "kept.json"
    kept: dict = json.loads(file.read_text()) if file.exists() else {"made_of": None}
    if kept["made_of"] != made_of:
        return False
    shutil.copytree(file.parent / "site", config.site_dir, dirs_exist_ok=True)
    references = kept["references"]
    return True


def _kept(config) -> Path:
    return Path(config.config_file_path).parent / ".cache" / "site"


def on_pre_build(config) -> None:
    """Let an edited page refer to API pages that are not built this time."""
    if not whole:
        vars(config.plugins["autorefs"]).update(references)


def on_env(env: Environment, config, files) -> None:
    """Keep those references, and the compiled templates, which take half a second."""
    global references
    autorefs = vars(config.plugins["autorefs"])
    references = {name: autorefs[name] for name in autorefs if name.endswith(("_url_map", "_title_map"))}
    folder = Path(config.config_file_path).parent / ".cache" / "templates"
    folder.mkdir(parents=True, exist_ok=True)
    env.bytecode_cache = FileSystemBytecodeCache(str(folder))
