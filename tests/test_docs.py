"""What the pages say: terms, figures, lists, citations, and the code in exercises."""

import re
import subprocess
import sys
from pathlib import Path

import drawing
import evidence
import interview
import pytest
import references
import speed

DOCS = Path(__file__).parents[1] / "docs"
CHAPTERS = sorted((DOCS / "architectures").glob("*.md"))
CODE = re.compile(r"^( *)```python\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


def test_a_term_tells_the_same_at_the_start_of_a_sentence():
    """A hover knows words as they are written; the glossary lists each once."""
    told = references.terms()
    upper = {term: term[0].upper() + term[1:] for term in told if term[0].islower()}
    capital = {term for term in told if references.small(term) in upper and term not in upper}
    assert capital
    assert all(told[term] == told[references.small(term)] for term in capital)
    listed = re.findall(r"^`(.*)`$", references.glossary(), re.MULTILINE)
    assert not capital & set(listed)
    assert len({term.lower().removesuffix("s") for term in listed}) == len(listed)
    files = [*DOCS.rglob("*.md"), *interview.FOLDER.glob("*.yaml")]
    lines = [
        line for path in files if path != references.ABBREVIATIONS for line in path.read_text().splitlines()
    ]
    prose = "\n".join(line for line in lines if not line.startswith("#"))
    assert not [word for word in upper.values() if word not in told and re.search(rf"\b{word}\b", prose)]


@pytest.mark.parametrize("changed", ["backbones/vgg/spec.py", "docs/compare/published.yaml"])
def test_a_kept_figure_is_drawn_anew_when_what_it_shows_changes(changed, tmp_path, monkeypatch):
    monkeypatch.setattr(drawing, "REPOSITORY", tmp_path)
    monkeypatch.setattr(drawing, "DRAWN", tmp_path / "drawn")
    source = tmp_path / changed
    source.parent.mkdir(parents=True)
    draw = drawing.kept(source.read_text)
    drawn = []
    for text in ("one", "one", "two"):
        source.write_text(text)
        drawn.append(draw())
    assert drawn == ["one", "one", "two"]
    assert len(list((tmp_path / "drawn").iterdir())) == 2


def test_no_two_figures_share_an_id():
    """They may stand on one page, where an id that stands twice leads to the wrong place."""
    groups = [(model, dataset, epochs) for model, dataset, epochs, _ in evidence.trained() + evidence.tried()]
    found = [i for group in groups for i in set(re.findall(r'\bid="(.*?)"', evidence.curves(*group)))]
    assert len(set(found)) == len(found)


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_no_number_within_a_list_begins_another(page):
    """Markdown takes a line of a list that begins "13. " for an item, and a macro may become such a number."""
    for block in re.split(r"\n\s*\n", page.read_text()):
        first, *others = block.strip().splitlines() or [""]
        last = re.match(r"(?:[-*]|(\d+)[.)]) ", first)
        if not last:
            continue
        number = int(last[1] or 0)
        for line in others:
            assert not re.match(r"\s*\{\{[^{}]*\}\}[.)] ", line), f"could begin a list: {line}"
            if found := re.match(r"\s*(\d+)[.)] ", line):
                number += 1
                assert int(found[1]) == number, f"begins a list: {line}"


@pytest.mark.parametrize("page", sorted(DOCS.rglob("*.md")), ids=lambda page: page.stem)
def test_no_formula_of_its_own_stands_within_a_list(page):
    """l2m4m ends the list there: what follows becomes code, and the numbers begin anew. An inline one may."""
    assert not re.search(r"^ +\$\$", page.read_text(), re.MULTILINE)


def test_the_page_on_speed_says_of_its_processor_what_was_measured():
    """Its sentences stay when another processor's record takes the place of this one, and may be false of it."""
    assert float(speed.slower_in_bfloat16()) > 1, "it has instructions for bfloat16"
    for net in ("lenet5", "vgg_mini", "resnet20"):
        assert float(speed.faster(net, "tensorflow", "with oneDNN")) > 1.1, (
            "TensorFlow takes oneDNN by itself"
        )
    assert float(speed.faster("lenet5", "tensorflow", than="one step per call")) > 1.1
    for net in ("vgg_mini", "resnet20"):
        assert float(speed.faster(net, "tensorflow", "many steps per call", than="this project")) < 1.03
        assert float(speed.faster_once_traced(net, "tensorflow")) > 0.9 * float(
            speed.faster(net, "tensorflow")
        )
    spread = {}
    for way in speed._result()["ways"]:
        turns = [turn["images_per_second"] for turn in way["turns"]]
        spread[way["model"], way["framework"], way["way"]] = max(turns) / min(turns)
    most = sorted(spread, key=spread.__getitem__)[-2:]
    assert sorted(most) == [(net, "tensorflow", "the usual way") for net in ("resnet20", "vgg_mini")]


def test_every_cited_paper_is_in_the_bibliography():
    known = (DOCS / "references.bib").read_text()
    files = [path for kind in ("md", "yaml") for path in DOCS.rglob(f"*.{kind}")]
    files += [*(DOCS.parent / "tutorials").rglob("*.ipynb"), *(DOCS.parent / "backbones").rglob("*.py")]
    for path in files:
        text = path.read_text()
        cited = re.findall(r"(?:arXiv:|arxiv\.org/abs/)(\d{4}\.\d{4,5})", text)
        for paper in {*cited, *re.findall(r"doi\.org/([^)\s\"]+)", text)}:
            assert f"{{{paper}}}" in known, f"{path.name} cites {paper}, which references.bib lacks"


@pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)
def test_a_chapters_code_runs(path):
    """Each solution on its own, in one process; except where a page shows how to fetch what is not here."""
    blocks = [
        re.sub(rf"^{indent}", "", code, flags=re.MULTILINE) for indent, code in CODE.findall(path.read_text())
    ]
    runs = [f"exec({code!r}, {{}})" for code in blocks if not re.search(r"--8<--|download|weights=", code)]
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", "\n".join(runs)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
