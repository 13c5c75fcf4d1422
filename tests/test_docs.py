"""What the pages say beside what the package computes: interview questions, and the code in exercises."""

import importlib
import math
import re
import subprocess
import sys
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[1] / "docs"
CHAPTERS = sorted((DOCS / "architectures").glob("*.md"))
CODE = re.compile(r"^( *)```python\n(.*?)^\1```", re.DOTALL | re.MULTILINE)


def hook(name):
    sys.path.insert(0, str(DOCS / "_hooks"))
    try:
        return importlib.import_module(name)
    finally:
        sys.path.pop(0)


evidence, interview, macros = map(hook, ("evidence", "interview", "macros"))
QUESTIONS = interview.load()
ASKER = interview.Asker({function.__name__: function for function in macros.FUNCTIONS})


def test_questions_are_told_apart():
    ids = [question.id for question in QUESTIONS]
    assert len(set(ids)) == len(ids)
    for name in [path.stem for path in interview.FOLDER.glob("*.yaml")]:
        assert name in interview.TITLES
        assert {question.topic for question in interview.load(name)} == {name}


@pytest.mark.parametrize("question", QUESTIONS, ids=lambda question: question.id)
def test_a_question_has_an_answer_and_evidence(question):
    assert question.level in interview.LEVELS
    assert question.question.strip().endswith(("?", "."))
    answer = ASKER.answer(question)
    assert (DOCS / question.evidence.split("#")[0]).exists() or question.evidence.startswith("tutorials/")
    if question.value:
        value = ASKER.value(question)
        assert math.isfinite(value)
        assert question.unit
        assert re.search(rf"(?<![\d,.]){re.escape(f'{value:,}')}(?!\d|,\d)", answer), (
            f"{value:,} is not in the answer"
        )


def test_no_two_figures_share_an_id():
    """They may stand on one page, where an id that stands twice leads to the wrong place."""
    groups = [(model, dataset, epochs) for model, dataset, epochs, _ in evidence.trained() + evidence.tried()]
    found = [i for group in groups for i in set(re.findall(r'\bid="(.*?)"', evidence.curves(*group)))]
    assert len(set(found)) == len(found)


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
