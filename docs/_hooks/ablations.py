"""What pages and notebooks draw from the records of `benchmarks.ablations`: tables, figures, numbers in prose."""

from __future__ import annotations

import json
from statistics import mean, stdev
from typing import Any

from drawing import inline, kept, scientific
from tabulate import tabulate

from backbones.training.report import FRAMEWORK_LABELS, RECORDS

FOLDER = RECORDS.parent / "ablations"
Key = tuple[str, int]  # framework and seed


def _record(topic: str) -> dict[str, Any]:
    return json.loads((FOLDER / f"{topic}.json").read_text(encoding="utf-8"))


def _runs(topic: str, label: str, measure: str) -> dict[Key, float]:
    """A measure of all finished runs of a variant, by framework and seed."""
    return {
        (run["framework"], run["seed"]): run["shifted"][measure.removeprefix("shifted_")]
        if measure.startswith("shifted_")
        else run[measure]
        for run in _record(topic)["variants"][label]["runs"]
        if "failed" not in run
    }


def _values(topic: str, label: str, measure: str, framework: str | None = None) -> list[float]:
    """A measure of all finished runs of a variant, of one framework or both."""
    return [v for (f, _), v in _runs(topic, label, measure).items() if framework in (None, f)]


def ablated(topic: str, label: str, measure: str = "validation_accuracy") -> str:
    """The mean of a measure over all runs of a variant; accuracies in per cent."""
    value = mean(_values(topic, label, measure))
    return (
        f"{value:,.2f}" if measure in ("train_loss", "validation_loss", "seconds") else f"{100 * value:.1f} %"
    )


def cost(topic: str, label: str, of: str = "parameters") -> str:
    """A variant's parameters or multiply-adds."""
    return f"{_record(topic)['variants'][label][of]:,}"


def gap(topic: str, more: str, less: str, measure: str = "validation_accuracy") -> str:
    """By how much the first variant is above the second; the build stops if it is not so in every pair of runs.

    A pair shares framework, seed and batches. The two frameworks' runs of a seed are not independent, so three seeds
    agree by chance one time in four, not one in 32. Of a family's study, there are two pairs of one seed.
    """
    found = _pairs(topic, more, less, measure)
    assert min(found.values()) > 0, f"{topic}: {more} is not always above {less} in {measure}: {found}"
    return _difference(found, measure)


def lost(topic: str, label: str, pixels: int) -> str:
    """By how many points a variant falls when the validation images move so many pixels."""
    still, moved = _runs(topic, label, "validation_accuracy"), _runs(topic, label, f"shifted_{pixels}")
    return _difference({run: 100 * (still[run] - moved[run]) for run in still}, "validation_accuracy")


def ratio(topic: str, more: str, less: str, measure: str = "seconds") -> str:
    """How many times as many parameters or multiply-adds the first variant has as the second.

    Of seconds, which differ from pair to pair of runs: the least and the most. The build stops where one is below 1.
    """
    if measure in ("parameters", "multiply_adds"):
        variants = _record(topic)["variants"]
        return f"{variants[more][measure] / variants[less][measure]:.1f}"
    left, right = _runs(topic, more, measure), _runs(topic, less, measure)
    found = {run: left[run] / right[run] for run in left}
    assert min(found.values()) > 1, f"{topic}: {more} does not always take longer than {less}: {found}"
    return " to ".join(dict.fromkeys(f"{value:.1f}" for value in (min(found.values()), max(found.values()))))


def undecided(topic: str, one: str, other: str, measure: str = "validation_accuracy") -> str:
    """The difference of two variants whose runs do not agree; the build stops if they do."""
    found = _pairs(topic, one, other, measure)
    assert min(found.values()) <= 0 <= max(found.values()), (
        f"{topic}: {one} and {other} differ in every pair in {measure}: {found}"
    )
    return _difference(found, measure, sign="+")


def signal(topic: str, label: str) -> str:
    """Root mean square of the values behind the first and behind the last layer before training, mean of all runs."""
    runs = [run["signal"] for run in _record(topic)["variants"][label]["runs"]]
    means = [mean(run[at] for run in runs) for at in (0, -1)]
    first, last = (f"{value:.2g}" if value > 1e-3 else scientific(value) for value in means)
    return f"{first} behind the first layer, {last} behind the last"


def parted(topic: str, label: str) -> str:
    """The largest difference between the two frameworks' validation losses of one seed."""
    losses = _runs(topic, label, "validation_loss")
    apart = [abs(losses["torch", s] - losses["tensorflow", s]) for f, s in losses if f == "torch"]
    return scientific(max(apart))


def _pairs(topic: str, one: str, other: str, measure: str) -> dict[Key, float]:
    """Differences by framework and seed, of accuracies in points."""
    unit = 1 if measure.endswith("_loss") else 100
    left, right = _runs(topic, one, measure), _runs(topic, other, measure)
    assert left.keys() == right.keys(), f"{topic}: {one} and {other} have other runs"
    return {run: unit * (left[run] - right[run]) for run in left}


def _difference(found: dict[Key, float], measure: str, sign: str = "") -> str:
    """With the spread between seeds; the two frameworks' runs of one are not independent, so their mean counts once."""
    seeds = sorted({seed for _, seed in found})
    of_seeds = [mean(value for (_, s), value in found.items() if s == seed) for seed in seeds]
    values = of_seeds if len(seeds) > 1 else list(found.values())
    return _spread(values, 2, sign) if measure.endswith("_loss") else f"{_spread(values, 1, sign)} points"


def _spread(values: list[float], digits: int, sign: str = "") -> str:
    """Mean and standard deviation; of two values, which have none to speak of, both."""
    if len(values) > 2:
        return f"{mean(values):{sign}.{digits}f} ± {stdev(values):.{digits}f}"
    return " to ".join(dict.fromkeys(f"{value:{sign}.{digits}f}" for value in sorted(values)))


def _accuracy(values: list[float]) -> str:
    return f"{_spread([100 * value for value in values], 1)} %" if values else "did not train"


def ablation(topic: str) -> str:
    """Figure and table of one question."""
    record = _record(topic)
    rows = []
    for label, variant in record["variants"].items():
        accuracies = [_accuracy(_values(topic, label, "validation_accuracy", f)) for f in FRAMEWORK_LABELS]
        training, seconds = _values(topic, label, "train_accuracy"), _values(topic, label, "seconds")
        rows.append(
            [
                label,
                f"{variant['parameters']:,}",
                f"{variant['multiply_adds']:,}",
                *accuracies,
                f"{100 * mean(training):.1f} %",
                f"{mean(seconds):.0f} s",
            ]
        )
    headers = [
        "variant",
        "parameters",
        "multiply-adds",
        *FRAMEWORK_LABELS.values(),
        "on training images",
        "training",
    ]
    align = ["left", *["right"] * 6]
    table = tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)
    seeds = {run["seed"] for variant in record["variants"].values() for run in variant["runs"]}
    epochs = {variant["recipe"]["epochs"] for variant in record["variants"].values()}
    of = f"mean and standard deviation of {len(seeds)} seeds" if len(seeds) > 1 else "one run"
    note = (
        f"Accuracy on {record['validation_images']:,} validation images of Fashion-MNIST: {of} in each framework, "
        f"trained on {record['images']:,} images for {' or '.join(map(str, sorted(epochs)))} epochs, each on one "
        f"core beside others. `python -m benchmarks.ablations {topic}` runs it again."
    )
    return f"{ablation_figure(topic)}\n\n{table}\n\n{note}"


@kept
def ablation_figure(topic: str) -> str:
    """Each run's accuracy as a dot, by variant and framework."""
    from backbones import figures

    dots = {
        label: {name: _values(topic, label, "validation_accuracy", f) for f, name in FRAMEWORK_LABELS.items()}
        for label in _record(topic)["variants"]
    }
    means = ", ".join(f"{label} {ablated(topic, label)}" for label in dots if any(dots[label].values()))
    alt = f"Validation accuracy of each run for the question of {topic}, one dot each. Means: {means}."
    return inline(figures.dots(dots, xlabel="validation accuracy"), alt)


@kept
def shift_figure(topic: str) -> str:
    """Accuracy on images that were moved, by pixels."""
    from backbones import figures

    lines = {}
    for label, variant in _record(topic)["variants"].items():
        measures = ["validation_accuracy", *(f"shifted_{pixels}" for pixels in variant["runs"][0]["shifted"])]
        lines[label] = list(zip(*(_values(topic, label, measure) for measure in measures), strict=True))
    means = {label: list(map(mean, zip(*runs, strict=True))) for label, runs in lines.items()}
    ends = ", ".join(f"{label} from {values[0]:.1%} to {values[-1]:.1%}" for label, values in means.items())
    pixels = len(measures) - 1
    alt = (
        f"Accuracy on images shifted by 0 to {pixels} pixels, mean of all runs and a band around it: {ends}."
    )
    figure = figures.lines(lines, xlabel="pixels to the right", ylabel="validation accuracy", start=0)
    return inline(figure, alt)


@kept
def signal_figure(topic: str) -> str:
    """How large the values are behind each layer before training."""
    from backbones import figures

    lines = {
        label: [run["signal"] for run in variant["runs"]]
        for label, variant in _record(topic)["variants"].items()
    }
    ends = ", ".join(f"{label} {mean(run[-1] for run in runs):.1e}" for label, runs in lines.items())
    alt = (
        "Root mean square of the values behind each layer at the start, mean of all runs and a band around it. "
        f"Behind the last layer: {ends}."
    )
    figure = figures.lines(lines, xlabel="layer", ylabel="root mean square of the values", log=True)
    return inline(figure, alt)


@kept
def epoch_figure(topic: str) -> str:
    """Validation accuracy by epoch, mean over all runs with a band from the lowest to the highest."""
    from backbones import figures

    lines = {
        label: [run["validation_by_epoch"] for run in variant["runs"]]
        for label, variant in _record(topic)["variants"].items()
    }
    ends = ", ".join(
        f"{label} from {mean(run[0] for run in runs):.1%} to {mean(run[-1] for run in runs):.1%}"
        for label, runs in lines.items()
    )
    alt = f"Validation accuracy by epoch, mean of all runs and a band around it. From first to last epoch: {ends}."
    return inline(figures.lines(lines, xlabel="epoch", ylabel="validation accuracy"), alt)


FUNCTIONS = (
    ablated,
    ablation,
    cost,
    epoch_figure,
    gap,
    lost,
    parted,
    ratio,
    shift_figure,
    signal,
    signal_figure,
    undecided,
)
