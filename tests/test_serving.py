"""`mkdocs serve` builds no more than it must, and never less."""

from pathlib import Path
from types import SimpleNamespace

import pytest
import serving


@pytest.fixture
def server(tmp_path, monkeypatch):
    """A project of one page and one hook, and a way to start or refresh its server that says what was built."""
    for name, text in {"mkdocs.yml": "", "docs/page.md": "one", "docs/_hooks/hook.py": "1"}.items():
        file = tmp_path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    builds = []

    def build(config, *, dirty=False, **options):
        builds.append("edited pages" if dirty else "all")
        serving.references = {"_title_map": {"page/": "Page"}} if not dirty else serving.references
        Path(config.site_dir, "page.html").write_text((tmp_path / "docs/page.md").read_text())

    monkeypatch.setattr(serving, "mkdocs_build", build)

    def refresh(started=False, command=serving.build_for_server):
        if started:
            serving.built_from, serving.references = None, {}
            refresh.site = tmp_path / f"served-{len(list(tmp_path.iterdir()))}"
            refresh.site.mkdir()
        search = SimpleNamespace(config=SimpleNamespace(enabled=True))
        config = SimpleNamespace(
            config_file_path=str(tmp_path / "mkdocs.yml"),
            docs_dir=str(tmp_path / "docs"),
            watch=[],
            site_dir=str(refresh.site),
            plugins={"material/search": search},
        )
        builds.clear()
        command(config)
        return builds[0] if builds else "nothing"

    yield refresh
    serving.built_from, serving.references = None, {}


@pytest.mark.parametrize("command", [serving.build_for_server, serving.build_and_keep])
def test_a_server_opens_with_the_last_site_of_either_command(server, command):
    assert server(started=True, command=command) == "all"
    assert server(started=True) == "nothing"
    assert (server.site / "page.html").read_text() == "one"
    assert serving.references == {"_title_map": {"page/": "Page"}}


def test_an_edited_page_is_built_alone_and_any_other_change_builds_all(server, tmp_path):
    server(started=True)
    (tmp_path / "docs/page.md").write_text("two")
    assert server() == "edited pages"
    (tmp_path / "docs/_hooks/hook.py").write_text("2")
    assert server() == "all"
    (tmp_path / "docs/other.md").write_text("new")
    assert server() == "all"
    (tmp_path / "docs/page.md").write_text("three")
    assert server(started=True) == "all"


def test_a_kept_site_that_was_cut_off_does_not_count(server, tmp_path):
    server(started=True)
    (tmp_path / ".cache/site/kept.json").unlink()
    assert server(started=True) == "all"
