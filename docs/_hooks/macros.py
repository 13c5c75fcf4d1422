"""What the pages draw from models and records, so that no number in them is typed."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from textwrap import indent

# mkdocs-macros loads this file alone, not those beside it, and a page draws from a table of a benchmark.
sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parents[2])]

import ablations
import commands
import lockstep
import models
import phrases
import references
import speed
from address import repository_address
from evidence import (
    above,
    accuracy,
    best,
    curves,
    higher,
    reached,
    results,
    results_table,
    seed_table,
    seeds,
    shipped_table,
    trained,
    tried,
    tried_table,
    validated,
    verdict,
)
from interview import Asker, question_count, topics
from tabulate import tabulate

import backbones
from backbones.diagram import diagram as draw
from backbones.lenet.spec import C3_CONNECTIONS
from backbones.summary import pair
from backbones.training.recipe import Recipe, recipe_for


def define_env(env) -> None:
    """Hand the functions of this module to the pages."""
    for function in FUNCTIONS:
        env.macro(function)
    asker = Asker({function.__name__: function for function in FUNCTIONS})
    env.macro(asker.ask, "questions")
    env.macro(asker.short)


def ledger(model: str) -> str:
    """The layer ledger of a model, as a table."""
    return backbones.summary(model).to_markdown()


def params(model: str, layer: str | None = None) -> str:
    """Trainable parameters of a model or of one layer, with thousands separated."""
    summary = backbones.summary(model)
    return f"{summary[layer].parameters if layer else summary.parameters:,}"


def macs(model: str, layer: str | None = None) -> str:
    """Multiply-adds for one image, of a model or of one layer."""
    summary = backbones.summary(model)
    return f"{summary[layer].multiply_adds if layer else summary.multiply_adds:,}"


def macs_number(model: str, layer: str) -> int:
    """Multiply-adds of one layer, to reckon with."""
    return backbones.summary(model)[layer].multiply_adds


def field(model: str, layer: str) -> int:
    """Receptive field of a layer, in input pixels."""
    return backbones.summary(model)[layer].output.receptive_field


def count(value: float) -> str:
    """A number that the page works out, with thousands separated."""
    return f"{value:,}"


def agrees(ours: int, paper: float, unit: float = 1) -> str:
    """A count of ours, where the paper has the same to all the digits it prints; the build stops where it has not."""
    digits = len(str(paper).partition(".")[2])
    assert round(ours / unit, digits) == paper, f"{ours:,} here, {paper} in the paper"
    return f"{ours:,}" if unit == 1 else f"{ours / unit:,.2f}"


def recipe(model: str, dataset: str) -> Recipe:
    """The recipe that a net is trained with on a data set: a page names the number of it that it needs."""
    return recipe_for(model, dataset)


ERASING = "Zhong et al. 2017, [arXiv:1708.04896](https://arxiv.org/abs/1708.04896), Section 4"


def augmentation(model: str, dataset: str) -> str:
    """The random changes to the training images of clothes, in words."""
    changes = recipe_for(model, dataset).augmentation
    told = f"flips, shifts by up to {changes.crop} pixel"
    if changes.erase:
        told += f", in {100 * changes.erase:.0f} of 100 images a rectangle of noise ({ERASING})"
    return told


FILES = {"torch": "PyTorch", "tensorflow": "TensorFlow", "spec": "The table they share"}


def sources(family: str) -> str:
    """A family's files as they are in the package, in tabs, with a link to each definition in the repository."""
    repository = repository_address()
    tabs = []
    for stem, label in FILES.items():
        for path in sorted(Path(backbones.__file__).parent.glob(f"{family}/{stem}*.py")):
            version = path.stem.removeprefix(stem).replace("_", " ")
            file = path.relative_to(Path(backbones.__file__).parents[1]).as_posix()
            links = [
                f"[`{node.name}`]({repository}/blob/main/{file}#L{node.lineno})"
                for node in ast.parse(path.read_text(encoding="utf-8")).body
                if isinstance(node, ast.ClassDef | ast.FunctionDef) and not node.name.startswith("_")
            ]
            if "backbones.keras_parts" in path.read_text(encoding="utf-8"):
                links.append(
                    f"[`keras_parts.py`]({repository}/blob/main/backbones/keras_parts.py), imported here"
                )
            code = f'```python\n--8<-- "{file}"\n```'
            tab = f"In the repository: {', '.join(links)}\n\n{code}"
            tabs.append(f'=== "{label}{version}"\n\n{indent(tab, "    ")}')
    return "The files as they are in the package.\n\n" + "\n\n".join(tabs)


def diagram(model: str) -> str:
    """The block diagram of a model. In an element of a block: Markdown would see to the words in it otherwise."""
    return f"<figure>{draw(backbones.summary(model))}</figure>"


def c3_table() -> str:
    """Table I of LeCun et al. 1998, from the spec."""
    rows = [[s2, *("X" if s2 in inputs else "" for inputs in C3_CONNECTIONS)] for s2 in range(6)]
    headers = ["S2", *map(str, range(len(C3_CONNECTIONS)))]
    return tabulate(rows, headers, tablefmt="pipe", colalign=["center"] * len(headers))


# LeCun et al. 1998, Section II.B: the paper counts a bias as one more connection of each unit.
PUBLISHED_CONNECTIONS = {"c1": 122_304, "s2": 5_880, "c3": 151_600, "s4": 2_000, "c5": 48_120}
PUBLISHED_PARAMETERS = {"c1": 156, "s2": 12, "c3": 1_516, "s4": 32, "c5": 48_120, "f6": 10_164}


def connections_table() -> str:
    """The paper's counts beside the ledger's; a difference stops the build."""
    summary = backbones.summary("lenet5_1998")
    rows = []
    for name, published in PUBLISHED_PARAMETERS.items():
        layer = summary[name]
        values = layer.output.size
        # Subsampling adds up a window's four values before the one multiplication.
        height, width = pair(layer.kernel) if layer.type == "Subsampling" and layer.kernel else (1, 1)
        inputs = layer.multiply_adds * height * width
        connections = inputs + values
        assert layer.parameters == published, name
        assert connections == PUBLISHED_CONNECTIONS.get(name, connections), name
        stated = f"{PUBLISHED_CONNECTIONS[name]:,}" if name in PUBLISHED_CONNECTIONS else ""
        rows.append(
            [
                f"`{name}`",
                f"{published:,}",
                f"{layer.parameters:,}",
                stated,
                f"{inputs:,} + {values:,} = {connections:,}",
            ]
        )
    rows.append(["sum", "60,000", f"{summary.parameters:,}", "", ""])
    headers = ["layer", "parameters, paper", "here", "connections, paper", "here: inputs + biases"]
    align = ["left", "right", "right", "right", "right"]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


FUNCTIONS = (
    above, accuracy, agrees, augmentation, backbones.summary, best, c3_table, connections_table, count, curves,
    diagram, field, higher, ledger, macs, macs_number, params, question_count, reached, recipe, results,
    results_table, seed_table, seeds, shipped_table, sources, topics, trained, tried, tried_table, validated, verdict,
    *ablations.FUNCTIONS, *commands.FUNCTIONS, *lockstep.FUNCTIONS, *models.FUNCTIONS, *phrases.FUNCTIONS,
    *references.FUNCTIONS, repository_address, *speed.FUNCTIONS,
)  # fmt: skip
