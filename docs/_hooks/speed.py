"""What the page on training speed draws from the records of `benchmarks.training`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from tabulate import tabulate

from backbones.training.report import FRAMEWORK_LABELS
from benchmarks import speed


def _results() -> list[dict[str, Any]]:
    return [json.loads(path.read_text(encoding="utf-8")) for path in sorted(speed.RESULTS.glob("*.json"))]


def _result(way: str = speed.OURS) -> dict[str, Any]:
    """The one that the page goes through step by step; for bfloat16, that of the processor which is fastest in it."""
    if way == speed.BF16:
        return max(_results(), key=lambda result: result["peaks"]["bfloat16"])
    return next(result for result in _results() if result.get("same_training"))


def speed_table(model: str) -> str:
    """All ways to train a net that were measured."""
    return speed.table(_result(), model, tablefmt="pipe")


def faster(model: str, framework: str, way: str = speed.OURS, than: str = speed.USUAL) -> str:
    """How many times as many images per second one way trains on as another."""
    speeds = speed.speeds(_result(way))
    return f"{speeds[model, framework, way] / speeds[model, framework, than]:.2f}"


def faster_once_traced(model: str, framework: str) -> str:
    """The same for this project's way against the usual one, without the first epoch, in which graphs are traced."""
    speeds = speed.speeds(_result(), "after_the_first")
    return f"{speeds[model, framework, speed.OURS] / speeds[model, framework, speed.USUAL]:.2f}"


def slowest_to_fastest(model: str, framework: str, way: str = speed.USUAL) -> str:
    """How far one way's turns are apart, in images per second."""
    ways = [w for w in _result()["ways"] if (w["model"], w["framework"], w["way"]) == (model, framework, way)]
    found = [turn["images_per_second"] for turn in ways[0]["turns"]]
    return f"{min(found):,.0f} to {max(found):,.0f}"


def step(model: str, batch_size: int) -> str:
    """How long one step of this project's loop takes in PyTorch, in float32."""
    speeds = speed.speeds(_result())
    return f"{1000 * batch_size / speeds[model, 'torch', speed.OURS]:.0f} ms"


def speed_processor() -> str:
    """The processor that the page is about."""
    return _result()["cpu"]


def older_processors() -> str:
    """Those whose records are of a time when the ways did not take the same steps."""
    return _listed(result["cpu"] for result in _results() if "same_training" not in result)


def speed_setting() -> str:
    """On what was measured, and how."""
    result = _result()
    peaks = {kind: f"{peak / 1e9:,.0f}" for kind, peak in result["peaks"].items()}
    turns = " or ".join(map(str, sorted({len(way["turns"]) for way in result["ways"]})))
    return (
        f"{result['cpu']}; {turns} turns of {result['epochs']} epochs; the fastest matrix multiplication "
        f"there does {peaks['float32']} billion operations per second in float32 and {peaks['bfloat16']} in bfloat16"
    )


def bfloat16_setting() -> str:
    """The processor whose gain from bfloat16 the page tells."""
    result = _result(speed.BF16)
    times = result["peaks"]["bfloat16"] / result["peaks"]["float32"]
    return f"{result['cpu']}, which multiplies matrices {times:.0f} times as fast in it"


def slower_in_bfloat16() -> str:
    """How many times as long a multiplication of matrices takes on the page's own processor."""
    peaks = _result()["peaks"]
    return f"{peaks['float32'] / peaks['bfloat16']:.0f}"


def at_peak(model: str) -> str:
    """How many times as fast as the usual way in PyTorch a training would be whose every operation ran at the peak."""
    result = _result()
    usual = speed.speeds(result)[model, "torch", speed.USUAL]
    return f"{1 / speed.share_of_peak(result, model, speed.USUAL, usual):.1f}"


def same_accuracy_table() -> str:
    """What the usual way and this project's reach after the same steps."""
    return speed.accuracy_table(_result(), tablefmt="pipe")


def points_apart() -> str:
    """The largest difference in that table, in percentage points."""
    found = speed.accuracies(_result())
    apart = [abs(found[*key[:2], speed.OURS] - found[*key[:2], speed.USUAL]) for key in found]
    return f"{100 * max(apart):.2f}"


def images_per_second(model: str, framework: str, way: str) -> str:
    """How fast one way is on each processor, in the order of `processors_table`."""
    return _listed(f"{speed.speeds(result)[model, framework, way]:,.0f}" for result in _results())


def processors_table() -> str:
    """How many times as many images per second this project trains on as the usual way, on each processor."""
    found = [speed.speeds(result) for result in _results()]
    rows = [
        [f"`{model}`", FRAMEWORK_LABELS[framework]]
        + [
            f"{speeds[model, framework, way] / speeds[model, framework, speed.USUAL]:.2f}"
            if (model, framework, way) in speeds
            else "-"
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
    """How long the shortest LeNet-5 run on MNIST takes that gets 99 % of the validation images right, likewise."""
    return _listed(f"{result['to_99'][framework][1]:.1f}" for result in _results()) + " s"


def _listed(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}" if first else last


FUNCTIONS = (
    at_peak, bfloat16_setting, faster, faster_once_traced, images_per_second, older_processors, points_apart,
    processors_table, same_accuracy_table, seconds_to_99, slower_in_bfloat16, slowest_to_fastest, speed_processor,
    speed_setting, speed_table, step,
)  # fmt: skip
