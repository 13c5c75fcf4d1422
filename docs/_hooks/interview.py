"""The interview questions: one YAML file per topic, asked in the chapters and all together on one page.

An answer is a small Markdown page: it may call what pages may call, so that no number in it is typed, and its links
start at `docs/`. A calculation names its `value`, which is computed as well, and which its answer calls `value`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

import yaml
from jinja2 import Environment, StrictUndefined

from backbones.ledger import Ledger
from backbones.summary import FeatureMap, Layer
from backbones.training.recipe import Recipe

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
        short: The answer as the cheat sheet has it: rows of a table, cells between bars, or a sentence.
    """

    id: str
    level: str
    question: str
    answer: str
    evidence: str
    value: str | None = None
    unit: str = ""
    short: str = ""

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


def layer(kind: str, maps: tuple[int, int, int], *sizes: int, **options: Any) -> Layer:
    """A layer that no net here has, as the package's ledger counts it.

    >>> layer("conv", (192, 28, 28), 32, 5, padding=2).parameters
    153632
    """
    net = Ledger()
    getattr(net, kind)(FeatureMap(*maps), kind, *sizes, **options)
    return net.layers[0]


def loss(logits: Sequence[float], label: int, smoothing: float = 0.0) -> float:
    """The cross-entropy that the package trains with, for one image."""
    return _trained_by(logits, label, smoothing)[1].item()


def slopes(logits: Sequence[float], label: int, smoothing: float = 0.0) -> list[float]:
    """Its derivative by each logit."""
    x, total = _trained_by(logits, label, smoothing)
    total.backward()
    return x.grad[0].tolist()


def targets(classes: int, smoothing: float) -> list[float]:
    """What smoothing makes of the target of class 0: a slope is a probability minus its target."""
    return [1 / classes - slope for slope in slopes([0.0] * classes, 0, smoothing)]


def first_step(recipe: Recipe, gradient: float, weight: float = 0.0) -> float:
    """How far the package's optimizer moves a weight; of a weight of 0 the decay takes nothing away."""
    import torch

    from backbones.training.torch import make_optimizer

    unit = torch.nn.Linear(1, 1, bias=False, dtype=torch.float64)
    torch.nn.init.constant_(unit.weight, weight)
    unit.weight.grad = torch.full_like(unit.weight, gradient)
    make_optimizer(unit, recipe).step()
    return abs(unit.weight.item() - weight)


def _trained_by(logits: Sequence[float], label: int, smoothing: float) -> tuple[Any, Any]:
    import torch

    from backbones.training.torch import forward

    x = torch.tensor([logits], dtype=torch.float64, requires_grad=True)
    return x, forward(torch.nn.Identity(), x, torch.tensor([label]), smoothing)[1]


# What questions may call beside the pages' functions.
CALCULATIONS = (Recipe, first_step, layer, loss, slopes, targets)


class Asker:
    """Fills the questions in with what the package computes."""

    def __init__(self, functions: Mapping[str, Any]) -> None:
        self.environment = Environment(undefined=StrictUndefined)
        own = {function.__name__: function for function in CALCULATIONS}
        self.environment.globals.update(functions, **own, math=math)

    def value(self, question: Question) -> Any:
        """What a calculation comes to; an unknown name in it is an error."""
        assert question.value is not None
        return self.environment.compile_expression(question.value, undefined_to_none=False)()

    def answer(self, question: Question) -> str:
        """The answer with its numbers, as Markdown whose links start at `docs/`."""
        told = {"value": f"{self.value(question):,}"} if question.value else {}
        return self.environment.from_string(question.answer).render(told).strip()

    def ask(self, topic: str | None = None) -> str:
        """Questions with folded answers, as Markdown for a page that stands one folder below `docs/`."""
        return "\n\n".join(map(self._fold, load(topic)))

    def short(self, *ids: str) -> list[str]:
        """Lines of the cheat sheet: those of these questions, in this order."""
        told = {question.id: question.short for question in load() if question.short}
        lines = [line for name in ids for line in told[name].splitlines()]
        return [TO_DOCS.sub("](../", self.environment.from_string(line).render()) for line in lines]

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
        value, rounded = self.value(question), ROUNDED.search(question.value)
        digits = f' data-digits="{rounded[1]}"' if rounded else ""
        keys = "text" if value < 0 else "decimal"  # a phone's keys for decimals may lack the minus
        return (
            f'<form class="typed" data-value="{value}"{digits}>'
            f'<input inputmode="{keys}" autocomplete="off" aria-label="Your answer: {label}"> {question.unit} '
            "<button>Check</button> <output></output></form>"
        )


def _details(attributes: str, summary: str, inside: str) -> str:
    heading = f'<summary markdown="span">{summary}</summary>'
    return f"<details {attributes} markdown>\n{heading}\n\n{inside}\n\n</details>"
