"""The interview questions: one YAML file per topic, asked in the chapters and all together on one page.

An answer is a small Markdown page: it may call what pages may call, so that no number in it is typed, and its links
start at `docs/`. A calculation names its `value`, which is computed as well.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined

FOLDER = Path(__file__).parents[1] / "interview" / "questions"
LEVELS = ("basic", "solid", "deep")
TITLES = {
    "basics": "Foundations",
    "lenet": "LeNet",
    "alexnet": "AlexNet",
    "vgg": "VGG",
    "inception": "Inception",
    "resnet": "ResNet",
    "training": "Training",
    "frameworks": "PyTorch and Keras",
}
TO_DOCS = re.compile(r"\]\((?=[a-z]+/)")  # a link that starts at docs/, seen from any page one folder below
ROUNDED = re.compile(r"\bround\((\d+)\)")  # the digits behind the point that a value is asked to


@dataclass(frozen=True)
class Question:
    """One question.

    Attributes:
        id: Unique on the site, begins with the topic.
        level: One of `LEVELS`.
        question: What is asked, as Markdown.
        answer: Markdown with calls of the pages' functions.
        evidence: Page and anchor below `docs/` that prove the answer.
        value: What a reader is to work out, as an expression of the pages' functions; none if it is not a number.
        unit: What the value counts.
    """

    id: str
    level: str
    question: str
    answer: str
    evidence: str
    value: str | None = None
    unit: str = ""

    @property
    def topic(self) -> str:
        """The file it stands in."""
        return self.id.split("-")[0]


@cache
def _read(path: Path, changed: float) -> list[Question]:
    return [Question(**entry) for entry in yaml.safe_load(path.read_text(encoding="utf-8"))]


def load(topic: str | None = None) -> list[Question]:
    """The questions of a topic, or all."""
    names = [topic] if topic else [name for name, _ in topics()]
    paths = [FOLDER / f"{name}.yaml" for name in names]
    return [question for path in paths for question in _read(path, path.stat().st_mtime)]


def topics() -> list[tuple[str, str]]:
    """Every topic with its title, in the order in which one would read."""
    return [(name, title) for name, title in TITLES.items() if (FOLDER / f"{name}.yaml").exists()]


def question_count() -> int:
    """How many questions there are."""
    return len(load())


class Asker:
    """Fills the questions in with what the package computes."""

    def __init__(self, functions: Mapping[str, Any]) -> None:
        self.environment = Environment(undefined=StrictUndefined)
        self.environment.globals.update(functions)

    def value(self, question: Question) -> Any:
        """What a calculation comes to; an unknown name in it is an error."""
        assert question.value is not None
        return self.environment.compile_expression(question.value, undefined_to_none=False)()

    def answer(self, question: Question) -> str:
        """The answer with its numbers, as Markdown whose links start at `docs/`."""
        return self.environment.from_string(question.answer).render().strip()

    def ask(self, topic: str | None = None) -> str:
        """Questions with folded answers, as Markdown for a page that stands one folder below `docs/`."""
        return "\n\n".join(map(self._fold, load(topic)))

    def _fold(self, question: Question) -> str:
        answer = f"{self.answer(question)}\n\n[Evidence]({question.evidence}){{ .evidence }}"
        if question.value:  # the answer stays folded while the reader's own is checked
            answer = f"{self._form(question)}\n\n{_details('', 'Answer', answer)}"
        marks = (
            f'class="question" id="{question.id}" data-topic="{question.topic}" data-level="{question.level}"'
        )
        summary = f'{question.question.strip()} <span class="level">{question.level}</span>'
        return TO_DOCS.sub("](../", _details(marks, summary, answer))

    def _form(self, question: Question) -> str:
        assert question.value is not None
        label = escape(re.sub("[`$*]", "", question.question.strip()))
        rounded = ROUNDED.search(question.value)
        digits = f' data-digits="{rounded[1]}"' if rounded else ""
        return (
            f'<form class="typed" data-value="{self.value(question)}"{digits}>'
            f'<input inputmode="decimal" autocomplete="off" aria-label="Your answer: {label}"> {question.unit} '
            "<button>Check</button> <output></output></form>"
        )


def _details(attributes: str, summary: str, inside: str) -> str:
    heading = f'<summary markdown="span">{summary}</summary>'
    return f"<details {attributes} markdown>\n{heading}\n\n{inside}\n\n</details>"
