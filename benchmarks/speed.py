"""What `benchmarks.training` measured, as a table. Without a framework, so that the site can draw it, too."""

from __future__ import annotations

import re
from pathlib import Path
from statistics import mean, median
from typing import Any

from tabulate import tabulate

import backbones
from backbones.training.report import FRAMEWORK_LABELS, RECORDS

RESULTS = RECORDS.parent / "speed"
USUAL, ONEDNN, OURS, BF16 = "the usual way", "with oneDNN", "this project", "in bfloat16"
ONE, MANY = "one step per call", "many steps per call"


def record_of(cpu: str) -> Path:
    """Where the measurement on a processor is kept: the ratios differ from one to the next."""
    return RESULTS / f"{re.sub('[^a-z0-9]+', '-', cpu.lower())}.json"


def speeds(result: dict[str, Any], kind: str = "images_per_second") -> dict[tuple[str, str, str], float]:
    """(net, framework, way) -> images per second, the median of the turns; `kind` is that of `Turn`."""
    return {
        (way["model"], way["framework"], way["way"]): median(turn[kind] for turn in way["turns"])
        for way in result["ways"]
        if kind in way["turns"][0]  # older measurements lack one
    }


def share_of_peak(result: dict[str, Any], model: str, way: str, speed: float) -> float:
    """Which part of the machine's fastest matrix multiplication a training uses, 0..1."""
    multiply_adds = backbones.summary(model, in_channels=1, num_classes=10, input_size=28).multiply_adds
    # Forward, and backward to the inputs and to the weights: each takes the multiply-adds once.
    operations = 3 * 2 * multiply_adds
    return speed * operations / result["peaks"]["bfloat16" if way == BF16 else "float32"]


def table(result: dict[str, Any], model: str | None = None, tablefmt: str = "simple") -> str:
    """All ways of a net, or of all nets: speed, ratio to the usual way, share of the peak, memory."""
    found = speeds(result)
    rows = []
    for way in result["ways"]:
        if model not in (None, way["model"]):
            continue
        net, framework, turns = way["model"], way["framework"], way["turns"]
        speed = found[net, framework, way["way"]]
        rows.append(
            [
                net,
                FRAMEWORK_LABELS[framework],
                way["way"],
                f"{speed:,.0f}",
                f"{speed / found[net, framework, USUAL]:.2f}",
                f"{share_of_peak(result, net, way['way'], speed):.0%}",
                f"{max(turn['peak_memory'] for turn in turns) / 1e6:,.0f} MB",
            ]
        )
    headers = ["net", "framework", "way", "images/s", "ratio", "of peak", "memory"]
    align = ["left", "left", "left", *["right"] * 4]
    if model:  # the same in each row
        headers, align, rows = headers[1:], align[1:], [row[1:] for row in rows]
    return tabulate(rows, headers, tablefmt, colalign=align, disable_numparse=True)


def accuracies(result: dict[str, Any]) -> dict[tuple[str, str, str], float]:
    """(net, framework, way) -> share of validation images got right after a turn, 0..1, the mean of the turns."""
    return {
        (way["model"], way["framework"], way["way"]): mean(turn["accuracy"] for turn in way["turns"])
        for way in result["ways"]
    }


def accuracy_table(result: dict[str, Any], tablefmt: str = "simple") -> str:
    """What the usual way and this project's reach after the same steps, and how far they are apart."""
    found = accuracies(result)
    rows = []
    for model, framework in dict.fromkeys(key[:2] for key in found):
        usual, ours = found[model, framework, USUAL], found[model, framework, OURS]
        apart = f"{100 * (ours - usual):+.2f}"
        rows.append([model, FRAMEWORK_LABELS[framework], f"{usual:.2%}", f"{ours:.2%}", apart])
    headers = ["net", "framework", USUAL, OURS, "points apart"]
    return tabulate(rows, headers, tablefmt, colalign=["left", "left", *["right"] * 3], disable_numparse=True)
