"""The built site in a real browser: `make check-site`, after `make docs`.

The site is served below a path, as GitHub Pages does, so that a link that only works at the top fails here.
"""

import functools
import http.server
import os
import shutil
import subprocess
import threading
from urllib.parse import urljoin

import pytest
from built import BELOW, SITE
from playwright.sync_api import sync_playwright

FLAGS = [
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
]  # fmt: skip


class Handler(http.server.SimpleHTTPRequestHandler):
    def translate_path(self, path):
        if not path.startswith(BELOW):
            return str(SITE / "not-below-the-path")
        return super().translate_path("/" + path.removeprefix(BELOW))

    def log_message(self, *arguments):
        """Quiet."""


@pytest.fixture(scope="session")
def address():
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Handler, directory=str(SITE))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{BELOW}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="session")
def browser():
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    if not any(map(shutil.which, names)) and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "chromium"], check=True)
    path = next(filter(None, map(shutil.which, names)), None)
    assert path, "no Chromium found: install one, for example with: sudo apt-get install chromium"
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(address, browser):
    """Opens a page of the site in a tab of a new visitor."""
    contexts = []

    def opened(page, **options):
        contexts.append(browser.new_context(viewport={"width": 1280, "height": 900}))
        tab = contexts[-1].new_page()
        tab.goto(urljoin(address, page), **options)
        return tab

    yield opened
    for context in contexts:
        context.close()
