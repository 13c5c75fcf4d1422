"""Tables from the records of finished runs: the one source of every result on the site and in the README."""

from __future__ import annotations

import os
from collections import defaultdict
from functools import partial
from pathlib import Path
from statistics import mean, stdev

from tabulate import tabulate

from backbones.errors import BackbonesError
from backbones.files import as_path, write_whole
from backbones.training.history import History
from backbones.training.recipe import recipe_for
from backbones.training.record import REPOSITORY, Record

RECORDS = REPOSITORY / "docs" / "results" / "records"
FRAMEWORK_LABELS = {"torch": "PyTorch", "tensorflow": "TensorFlow"}
DATASET_LABELS = {"mnist": "MNIST", "fashion-mnist": "Fashion-MNIST"}

Key = tuple[str, str, str, int]  # model, data set, framework, epochs
Groups = dict[Key, list[Record]]


def load_records(folder: str | Path = RECORDS) -> Groups:
    """All records of a folder and those below it, grouped by model, data set, framework and epochs; each group by seed.

    Raises:
        BackbonesError: If there is no such folder or no record in it, one is not readable, or two are of one seed.
    """
    folder = as_path(folder, "a folder of records")
    if not os.path.isdir(folder):  # noqa: PTH112 (`Path.is_dir` raises an error for a name that is too long)
        raise BackbonesError(f"there is no folder {folder}")
    records: dict[tuple, tuple[Path, Record]] = {}
    for path in sorted(folder.rglob("*.json")):
        record = Record.load(path)
        before, _ = records.setdefault(_order(record), (path, record))
        if before != path:
            raise BackbonesError(
                f"{before} and {path} are of one model, data set, framework, number of epochs and seed; "
                "a mean over seeds needs one run of each"
            )
    if not records:
        raise BackbonesError(f"no records (*.json) in {folder}")
    groups: Groups = defaultdict(list)
    for key in sorted(records):
        record = records[key][1]
        groups[record.model, record.dataset, record.framework, record.epochs].append(record)
    return dict(groups)


def _order(record: Record) -> tuple:
    return record.model, record.dataset, record.framework != "torch", record.epochs, record.seed


def histories(model: str, dataset: str, folder: str | Path = RECORDS) -> dict[str, list[History]]:
    """What each framework's runs of a model went through; with the number of epochs where that varies."""
    groups = {k: v for k, v in load_records(folder).items() if k[:2] == (model, dataset)}
    several = len({epochs for *_, epochs in groups}) > 1
    return {
        FRAMEWORK_LABELS[framework] + (f", {epochs} epochs" if several else ""): [
            History.from_json(record.history) for record in records
        ]
        for (_, _, framework, epochs), records in groups.items()
    }


def accuracy_text(records: list[Record]) -> str:
    """Mean test accuracy in percent; with the standard deviation where there are several seeds."""
    values = [100 * record.test_accuracy for record in records]
    spread = f" ± {stdev(values):.2f}" if len(values) > 1 else ""
    return f"{mean(values):.2f}{spread} %"


def of_own_recipe(groups: Groups) -> Groups:
    """The runs with the recipes that the nets have now. Recipes tried before have another number of epochs."""
    return {key: records for key, records in groups.items() if key[3] == recipe_for(*key[:2]).epochs}


def results_table(groups: Groups) -> str:
    """The results as a Markdown table: one row per model, data set, framework and number of epochs."""
    headers = ["model", "data", "framework", "epochs", "seeds", "test accuracy", "range", "training time"]
    rows = []
    for (model, dataset, framework, epochs), records in groups.items():
        accuracies = [100 * record.test_accuracy for record in records]
        rows.append(
            [
                f"`{model}`",
                DATASET_LABELS[dataset],
                FRAMEWORK_LABELS[framework],
                epochs,
                len(records),
                accuracy_text(records),
                f"{min(accuracies):.2f} to {max(accuracies):.2f} %" if len(records) > 1 else "",
                f"{mean(record.seconds for record in records):.0f} s",
            ]
        )
    align = ("left", "left", "left", "right", "right", "right", "right", "right")
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def write_report(folder: str | Path, out: Path) -> list[str]:
    """Write the results as a table, and the curves of each net on each data set; the names of the files."""
    from backbones import figures

    texts = {"results.md": results_table(load_records(folder)) + "\n"}
    for model, dataset in sorted({key[:2] for key in load_records(folder)}):
        texts[f"{model}-{dataset}.svg"] = figures.to_svg(figures.curves(histories(model, dataset, folder)))
    for name, text in texts.items():
        write_whole(out / name, partial(Path.write_text, data=text, encoding="utf-8"))
    return list(texts)
