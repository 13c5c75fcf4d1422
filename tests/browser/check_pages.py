"""Every page, in both palettes and on a phone: what it shows, what it loads, and where its links lead."""

import gzip
import json
import re
from urllib.parse import unquote, urljoin, urlsplit
from xml.etree import ElementTree

import pytest
from bs4 import BeautifulSoup
from built import BELOW, SITE

from backbones.training import recipe_for

PAGES = sorted(str(path.parent.relative_to(SITE)) for path in SITE.rglob("index.html"))
NOTEBOOKS = sorted(path.relative_to(SITE) for path in SITE.rglob("*.ipynb"))
TUTORIALS = [path for path in NOTEBOOKS if path.parts[0] == "tutorials"]
WITH_MATH = {"architectures/lenet", "design/residual", *(str(path.parent) for path in TUTORIALS)}
LARGEST_NOTEBOOK_PAGE = 30_000  # bytes, compressed, without its images


def test_there_is_a_site():
    assert PAGES, "site/ holds no page: run make docs first"
    assert NOTEBOOKS, "site/ holds no executed notebook"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", PAGES)
def test_page_in_the_browser(address, browser, page, scheme):
    problems, requests = [], []
    context = browser.new_context(color_scheme=scheme, viewport={"width": 1280, "height": 900})
    tab = context.new_page()
    tab.on("console", lambda m: problems.append(m.text) if m.type in ("error", "warning") else None)
    tab.on("pageerror", lambda error: problems.append(str(error)))
    tab.on("request", lambda request: requests.append(request.url))
    tab.on("requestfailed", lambda request: problems.append(f"failed: {request.url}"))
    tab.goto(urljoin(address, "" if page == "." else f"{page}/"), wait_until="networkidle")
    origin = urlsplit(address)[:2]
    assert not [url for url in requests if urlsplit(url)[:2] != origin and not url.startswith("data:")]
    palette = "document.body.getAttribute('data-md-color-scheme')"
    assert tab.evaluate(palette) == {"light": "default", "dark": "slate"}[scheme]
    # Every picture that this palette shows has loaded and says what it shows.
    pictures = tab.evaluate("""async () => {
        const shown = [...document.querySelectorAll("article img")].filter(i => getComputedStyle(i).display != "none");
        for (const image of shown) { image.loading = "eager"; await image.decode().catch(() => {}); }
        return shown.map(i => [i.getAttribute("src"), i.naturalWidth, i.alt]);
    }""")
    assert all(width and alt for _, width, alt in pictures), pictures
    assert not [
        source
        for source, *_ in pictures
        if source.endswith("#only-" + {"light": "dark", "dark": "light"}[scheme])
    ]
    if page in WITH_MATH:
        assert tab.locator("article math").count() > 0
    tab.locator("label[for^=__palette]:visible").first.click()
    assert tab.evaluate(palette) == {"light": "slate", "dark": "default"}[scheme]
    tab.set_viewport_size({"width": 390, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
    assert not problems


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebook_pages_are_of_a_run_and_light(path):
    cells = json.loads((SITE / path).read_text())["cells"]
    assert all(c.get("execution_count") for c in cells if c["cell_type"] == "code")
    page = (SITE / path.parent / "index.html").read_bytes()
    assert len(gzip.compress(page)) <= LARGEST_NOTEBOOK_PAGE


@pytest.mark.parametrize("path", TUTORIALS, ids=lambda p: p.stem)
def test_tutorial_pages_show_what_ran(path):
    """Each page shows the very accuracy that its notebook, as run, printed, and all its figures."""
    cells = json.loads((SITE / path).read_text())["cells"]
    printed = "".join("".join(o.get("text", "")) for c in cells for o in c.get("outputs", []))
    (accuracy,) = re.findall(r"test accuracy: (\d+\.\d+)%", printed)
    least = {"LeNet5_mnist_torch": 99.15, "LeNet5_mnist_tf": 99.08}
    if path.stem in least:
        assert float(accuracy) >= least[path.stem]
    else:  # the weights of the recorded run, in either framework
        net = {
            "AlexNet": "alexnet_mini",
            "VGG": "vgg_mini",
            "Inception": "googlenet_mini",
            "ResNet": "resnet20",
        }
        name = net[path.stem.split("_")[0]]
        epochs = recipe_for(name, "fashion-mnist").epochs
        file = f"{name}-fashion-mnist-torch-{epochs}-epochs-seed-0.json"
        recorded = json.loads((SITE.parent / "docs" / "results" / "records" / file).read_text())[
            "test_accuracy"
        ]
        assert abs(float(accuracy) - 100 * recorded) <= 0.02
    page = (SITE / path.parent / "index.html").read_bytes()
    figures = sum("image/svg+xml" in o.get("data", {}) for c in cells for o in c.get("outputs", []))
    for scheme in ("light", "dark"):
        assert page.decode().count(f'#only-{scheme}" alt=') == figures > 5
    assert f"test accuracy: {accuracy}%" in page.decode()


def test_examples_of_the_api_are_code():
    """Without a heading of its own an example becomes a quotation in a quotation in a quotation."""
    pages = [BeautifulSoup(path.read_text(), "html.parser") for path in (SITE / "api").rglob("index.html")]
    assert not [quotation for page in pages for quotation in page.select(".doc-contents blockquote")]
    assert sum(len(page.select(".doc-contents .highlight .gp")) for page in pages) > 50


@pytest.mark.parametrize(
    ("asked", "page"),
    [
        ("degradation", "design/residual/"),
        ("1x1", "design/pointwise/"),
        ("resnet50", "architectures/resnet/"),
    ],
)
def test_search_finds_the_right_page_first(visit, asked, page):
    tab = visit("")
    tab.locator("input.md-search__input").click()
    tab.keyboard.type(asked, delay=30)
    first = tab.locator(".md-search-result__item a").first
    first.wait_for()
    tab.wait_for_timeout(500)  # the list is drawn anew while one types
    assert urlsplit(str(first.get_attribute("href"))).path.endswith(page)


def test_the_table_of_models_can_be_sorted(visit):
    tab = visit("compare/models/")
    for order in (sorted, lambda values: sorted(values, reverse=True)):
        tab.locator(".sortable th", has_text="parameters").click()
        shown = tab.locator(".sortable td:nth-child(2)").all_inner_texts()
        numbers = [int(text.replace(",", "")) for text in shown]
        assert numbers == order(numbers)


def test_terms_tell_their_meaning(visit):
    tab = visit("design/residual/")
    assert "deeper plain net" in str(tab.locator("abbr", has_text="degradation").first.get_attribute("title"))


def test_links_and_anchors():
    """Every internal link leads to a file, every anchor to an id on it; no id stands twice."""
    pages = {path: BeautifulSoup(path.read_text(), "html.parser") for path in SITE.rglob("*.html")}
    ids = {path: [tag["id"] for tag in soup.select("[id]")] for path, soup in pages.items()}
    bad = [
        f"{path}: id {i} stands twice"
        for path, found in ids.items()
        for i in {i for i in found if found.count(i) > 1}
    ]
    for path, soup in pages.items():
        base = "https://site" + BELOW + path.relative_to(SITE).as_posix().removesuffix("index.html")
        for tag in soup.select("[href], [src]"):
            link = str(tag.get("href") or tag.get("src"))
            url = urlsplit(urljoin(base, link))
            if url.netloc != "site" or path.name == "404.html":
                continue
            target = SITE / unquote(url.path).removeprefix(BELOW)
            target = target / "index.html" if target.is_dir() else target
            if not url.path.startswith(BELOW) or not target.exists():
                bad.append(f"{path}: {link} leads nowhere")
            elif url.fragment and target in ids and unquote(url.fragment) not in ids[target]:
                bad.append(f"{path}: {link} has no such anchor")
    assert not bad, "\n".join(bad)


def test_the_map_of_the_site_is_complete():
    places = ElementTree.parse(SITE / "sitemap.xml").getroot()
    listed = {urlsplit(str(place[0].text)).path.removeprefix(BELOW).strip("/") or "." for place in places}
    assert listed == set(PAGES)
