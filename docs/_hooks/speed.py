"""What the page on training speed draws from the records of `benchmarks.training`."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from tabulate import tabulate

from backbones.training.report import FRAMEWORK_LABELS
from benchmarks import speed


@cache
def _results() -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(speed.RESULTS.glob("*.json"))]


def _result() -> dict[str, Any]:
    """The one that the page goes through step by step, of the processor that multiplies fastest in bfloat16."""
    return max(_results(), key=lambda result: result["peaks"]["bfloat16"])


def speed_table(model: str) -> str:
    """All ways to train a net that were measured."""
    return speed.table(_result(), model, tablefmt="pipe")


def faster(model: str, framework: str, way: str = speed.OURS, than: str = speed.USUAL) -> str:
    """How many times as many images per second one way trains on as another."""
    speeds = speed.speeds(_result())
    return f"{speeds[model, framework, way] / speeds[model, framework, than]:.2f}"


def step(model: str, batch_size: int) -> str:
    """How long one step of this project's loop takes in PyTorch, in float32."""
    speeds = speed.speeds(_result())
    return f"{1000 * batch_size / speeds[model, 'torch', speed.OURS]:.0f} ms"


def speed_setting() -> str:
    """On what was measured, and how."""
    result = _result()
    peaks = {kind: f"{peak / 1e9:,.0f}" for kind, peak in result["peaks"].items()}
    turns = " or ".join(map(str, sorted({len(way["turns"]) for way in result["ways"]})))
    return (
        f"{result['cpu']}; {turns} turns of {result['epochs']} epochs; the fastest matrix multiplication "
        f"there does {peaks['float32']} billion operations per second in float32 and {peaks['bfloat16']} in bfloat16"
    )


def images_per_second(model: str, framework: str, way: str) -> str:
    """How fast one way is on each processor, in the order of `processors_table`."""
    return " and ".join(f"{speed.speeds(result)[model, framework, way]:,.0f}" for result in _results())


def processors_table() -> str:
    """How many times as many images per second this project trains on as the usual way, on each processor."""
    found = [speed.speeds(result) for result in _results()]
    rows = [
        [f"`{model}`", FRAMEWORK_LABELS[framework]]
        + [
            f"{speeds[model, framework, way] / speeds[model, framework, speed.USUAL]:.2f}"
            for speeds in found
            for way in (speed.OURS, speed.BF16)
        ]
        for model, framework in dict.fromkeys(key[:2] for key in found[0])
    ]
    headers = ["net", "framework"]
    headers += [f"{result['cpu']}, {kind}" for result in _results() for kind in ("float32", "bfloat16")]
    align = ["left", "left", *["right"] * (len(headers) - 2)]
    return tabulate(rows, headers, tablefmt="pipe", colalign=align, disable_numparse=True)


def seconds_to_99(framework: str) -> str:
    """The shortest LeNet-5 run on MNIST that gets 99 % of the validation images right."""
    epochs, seconds, reached = _result()["to_99"][framework]
    return f"{seconds:.1f} s for {reached:.2%} ({epochs} epochs)"


FUNCTIONS = (faster, images_per_second, processors_table, seconds_to_99, speed_setting, speed_table, step)
