"""What the pages draw from the records of runs: tables, curves, verdicts and comparing words."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from statistics import mean

from drawing import inline, kept
from tabulate import tabulate

from backbones.training import report
from backbones.training.history import History
from backbones.training.recipe import recipe_for
from backbones.training.record import Record
from backbones.training.report import (
    DATASET_LABELS,
    FRAMEWORK_LABELS,
    RECORDS,
    Groups,
    accuracy_text,
    load_records,
    of_own_recipe,
)
from backbones.weights import SHIPPED


def groups() -> Groups:
    """All records, read again only after one of them has changed, come or gone."""
    return _groups(tuple((path, path.stat().st_mtime) for path in sorted(RECORDS.glob("*.json"))))


@cache
def _groups(stamps: tuple[tuple[Path, float], ...]) -> Groups:
    return load_records()


def trained() -> list[tuple[str, str, int, str]]:
    """Model, data set, epochs and a title, for every net that has records with its own recipe."""
    return _titled(of_own_recipe(groups()))


def tried() -> list[tuple[str, str, int, str]]:
    """The same for recipes of before."""
    return _titled(_tried())


def _titled(groups: Groups) -> list[tuple[str, str, int, str]]:
    keys = dict.fromkeys((model, dataset, epochs) for model, dataset, _, epochs in groups)
    return [(*key, f"{key[0]} on {DATASET_LABELS[key[1]]}, {key[2]} epochs") for key in keys]


def _tried() -> Groups:
    everything = groups()
    own = of_own_recipe(everything)
    return {key: records for key, records in everything.items() if key not in own}


def results_table() -> str:
    """What the nets reach with their recipes."""
    return report.results_table(of_own_recipe(groups()))


def tried_table() -> str:
    """What they reached with recipes of before."""
    return report.results_table(_tried())


def shipped_table() -> str:
    """The weights that come with the package, with what their runs reached on the test images."""
    rows = []
    for path in sorted(SHIPPED.glob("*.safetensors")):
        name, dataset = path.stem.split("-", 1)
        run = _group(name, dataset, "torch")[0]
        size = f"{path.stat().st_size / 1e6:.2f} MB"
        rows.append([f"`{name}`", f'`"{dataset}"`', run.epochs, f"{run.test_accuracy:.2%}", size])
    headers = ["net", "weights", "epochs", "test accuracy", "file"]
    align = ["left", "left", "right", "right", "right"]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def _group(model: str, dataset: str, framework: str, epochs: int | None = None) -> list[Record]:
    """The records of one row of the results, the recipe's own if not told; none is an error and stops the build."""
    epochs = epochs or recipe_for(model, dataset).epochs
    return groups()[model, dataset, framework, epochs]


def _by_framework(model: str, dataset: str, epochs: int | None = None) -> dict[str, list[Record]]:
    """The same for each framework that has records."""
    epochs = epochs or recipe_for(model, dataset).epochs
    found = groups()
    frameworks = {
        f: found[model, dataset, f, epochs] for f in FRAMEWORK_LABELS if (model, dataset, f, epochs) in found
    }
    assert frameworks, f"no record of {model} on {dataset} over {epochs} epochs"
    return frameworks


def accuracy(model: str, dataset: str, framework: str) -> str:
    """Mean test accuracy with its spread."""
    return accuracy_text(_group(model, dataset, framework))


def seeds(model: str, dataset: str, framework: str) -> int:
    """How many runs there are."""
    return len(_group(model, dataset, framework))


def reached(model: str, dataset: str) -> str:
    """A sentence part that says what both frameworks reached."""
    runs = _by_framework(model, dataset)
    each = " and ".join(f"{accuracy_text(records)} in {FRAMEWORK_LABELS[f]}" for f, records in runs.items())
    counts = [len(records) for records in runs.values()]
    each_of = " each" if len(runs) > 1 else ""
    if max(counts) == 1:
        spread = f"one run{each_of}"
    elif len(set(counts)) == 1:
        spread = f"mean and standard deviation of {counts[0]} seeds{each_of}"
    else:
        spread = f"means of {' and '.join(map(str, counts))} runs"
    return f"{each} on {DATASET_LABELS[dataset]} ({spread})"


def results(model: str, dataset: str) -> str:
    """Table, curves and verdict of a net's runs with its own recipe."""
    rows = [
        [
            FRAMEWORK_LABELS[framework],
            len(records),
            accuracy_text(records),
            f"{max(r.test_accuracy for r in records):.2%}",
            f"{mean(r.seconds for r in records):,.0f} s",
        ]
        for framework, records in _by_framework(model, dataset).items()
    ]
    headers = ["framework", "seeds", "test accuracy", "best seed", "training"]
    align = ["left", "right", "right", "right", "right"]
    table = tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)
    epochs = recipe_for(model, dataset).epochs
    title = f"`{model}` on {DATASET_LABELS[dataset]}, {epochs} epochs; [every run](../results/index.md) is listed."
    return "\n\n".join([title, table, curves(model, dataset), verdict(model, dataset)])


def seed_table(model: str, dataset: str, epochs: int | None = None) -> str:
    """Every single run."""
    rows = [
        [
            FRAMEWORK_LABELS[framework],
            record.framework_version,
            record.seed,
            f"{record.history[-1]['validation_accuracy']:.2%}",
            f"{record.test_accuracy:.2%}",
            f"{record.seconds:.0f} s",
            f"{record.images_per_second:,}",
            f"`{record.commit}`",
        ]
        for framework, records in _by_framework(model, dataset, epochs).items()
        for record in records
    ]
    headers = ["framework", "version", "seed", "validation", "test", "training", "images/s", "commit"]
    align = ["left", "left", "right", "right", "right", "right", "right", "left"]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


@kept
def verdict(model: str, dataset: str, epochs: int | None = None) -> str:
    """What the difference between the frameworks amounts to, in plain words.

    By a paired t-test: a seed's two runs share their start and their batches.
    """
    from scipy.stats import ttest_rel

    runs = _by_framework(model, dataset, epochs)
    if len(runs) < 2:
        return f"Only {FRAMEWORK_LABELS[next(iter(runs))]} has been run so far: no verdict."
    left, right = ({r.seed: 100 * r.test_accuracy for r in records} for records in runs.values())
    seeds = sorted(left.keys() & right.keys())
    pairs = [left[s] for s in seeds], [right[s] for s in seeds]
    gap = mean(pairs[0]) - mean(pairs[1])
    if len(seeds) < 2:
        return (
            f"PyTorch's accuracy minus TensorFlow's is {gap:+.2f} percentage points, of one seed: no verdict."
        )
    test = ttest_rel(*pairs)
    interval = test.confidence_interval()
    facts = (
        f"PyTorch's mean minus TensorFlow's is {gap:+.3f} percentage points (95 % confidence interval "
        f"{interval.low:+.3f} to {interval.high:+.3f}; paired t-test, p = {test.pvalue:.2f}, {len(seeds)} seeds)."
    )
    if test.pvalue < 0.05:
        return f"**The difference is larger than chance explains.** {facts}"
    return f"**The two are not told apart.** {facts}"


@kept
def curves(model: str, dataset: str, epochs: int | None = None) -> str:
    """Loss and accuracy over the epochs of both frameworks, as an SVG element in the page's ink."""
    from backbones import figures

    runs = {
        FRAMEWORK_LABELS[framework]: _histories(records)
        for framework, records in _by_framework(model, dataset, epochs).items()
    }
    alt = (
        f"Loss and accuracy of {model} on {DATASET_LABELS[dataset]} over "
        f"{epochs or recipe_for(model, dataset).epochs} epochs, mean of all seeds with a band "
        f"from the lowest to the highest, for {' and '.join(runs)}. After the last epoch, right answers: "
        f"{'; '.join(f'{label}, {_ends(histories)}' for label, histories in runs.items())}."
    )
    return inline(figures.curves(runs), alt)


def _histories(records: list[Record]) -> list[History]:
    return [History.from_json(record.history) for record in records]


def _ends(histories: list[History]) -> str:
    """The mean accuracies of the last epoch."""
    training, validation = _last(histories)
    return f"{training:.2%} of the training and {validation:.2%} of the validation images"


def _last(histories: list[History]) -> tuple[float, float]:
    last = [history.epochs[-1] for history in histories]
    return mean(e.train_accuracy for e in last), mean(e.validation_accuracy for e in last)


def above(model: str, dataset: str) -> str:
    """The word itself, where each framework's accuracy on training images ends above that on validation images."""
    for records in _by_framework(model, dataset).values():
        training, validation = _last(_histories(records))
        assert training > validation, (
            f"{model} ends at {training:.2%} and {validation:.2%}: the page says above"
        )
    return "above"


def higher(model: str, dataset: str, before: int) -> str:
    """The word itself, where each framework's validation accuracy ends above that of the recipe of so many epochs."""
    for framework, records in _by_framework(model, dataset).items():
        now, then = (
            _last(_histories(group))[1] for group in (records, _group(model, dataset, framework, before))
        )
        assert now > then, (
            f"{model} in {framework} ends at {now:.2%}, before at {then:.2%}: the page says higher"
        )
    return "higher"


def validated(model: str, dataset: str, epochs: int | None = None) -> str:
    """The accuracy on validation images after so many epochs, the recipe's own if not told: mean of both frameworks."""
    reached = [_last(_histories(records))[1] for records in _by_framework(model, dataset, epochs).values()]
    return f"{100 * mean(reached):.2f} %"


def best(dataset: str, *models: str) -> str:
    """The word itself, where each of these nets is ahead of all others in each framework, on test images."""
    found = {key: mean(r.test_accuracy for r in runs) for key, runs in of_own_recipe(groups()).items()}
    for (model, data, framework, _), reached in found.items():
        if data != dataset or model in models:
            continue
        worst = min(v for (m, d, f, _), v in found.items() if m in models and (d, f) == (data, framework))
        assert worst > reached, f"{model} reaches {reached:.2%} in {framework}, one of {models} {worst:.2%}"
    return "best"
