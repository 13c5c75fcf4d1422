"""What the page on training speed draws from the record of `benchmarks.training`."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

from benchmarks import speed


@cache
def _result() -> dict[str, Any]:
    return json.loads(speed.RESULT.read_text(encoding="utf-8"))


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
    return (
        f"{result['cpu']}; {result['turns']} turns of {result['epochs']} epochs; the fastest matrix multiplication "
        f"there does {peaks['float32']} billion operations per second in float32 and {peaks['bfloat16']} in bfloat16"
    )


def seconds_to_99(framework: str) -> str:
    """The shortest LeNet-5 run on MNIST that gets 99 % of the validation images right."""
    epochs, seconds, reached = _result()["to_99"][framework]
    return f"{seconds:.1f} s for {reached:.2%} ({epochs} epochs)"


FUNCTIONS = (faster, seconds_to_99, speed_setting, speed_table, step)
