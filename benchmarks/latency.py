"""How long every net takes for one image, in both frameworks; rewrites `docs/results/latency.json`.

    python -m benchmarks.latency

Both frameworks take turns on the same net, and all nets come round several times: the fastest turn counts, since
other work on a machine only ever adds to a time, and may do so for longer than one net takes.
"""

from __future__ import annotations

import json
import os
from typing import Annotated

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import typer
from tqdm import tqdm

import backbones
from backbones.building import FRAMEWORKS
from backbones.files import write_whole
from backbones.training.processor import cpu
from backbones.training.record import framework_version
from backbones.training.report import RECORDS
from benchmarks.inference import keras_runner, seconds, torch_runner

RESULT = RECORDS.parent / "latency.json"
RUNNERS = {"torch": torch_runner, "tensorflow": keras_runner}


def main(
    rounds: Annotated[int, typer.Option(min=1, help="How often all nets come round.")] = 3,
    turns: Annotated[int, typer.Option(min=1, help="Turns of each net and framework in a round.")] = 3,
) -> None:
    """Measure all nets, one image at a time."""
    names = backbones.list_models()
    seen: dict[str, list[dict[str, float]]] = {name: [] for name in names}
    for name in tqdm(names * rounds, unit="net"):
        seen[name].append(milliseconds(name, turns))
    found = {name: {f: min(of[f] for of in times) for f in FRAMEWORKS} for name, times in seen.items()}
    versions = {framework: framework_version(framework) for framework in FRAMEWORKS}
    record = {"cpu": cpu(), "versions": versions, "turns": rounds * turns, "milliseconds": found}
    text = json.dumps(record, indent=1) + "\n"
    write_whole(RESULT, lambda part: part.write_text(text))


def milliseconds(name: str, turns: int) -> dict[str, float]:
    """A net's time for one image in the fastest turn, by framework."""
    channels, height, width = backbones.summary(name).input.shape
    image = np.random.default_rng(0).standard_normal((1, height, width, channels)).astype(np.float32)
    runs = {f: RUNNERS[f](backbones.create_model(name, f, seed=0), image) for f in FRAMEWORKS}
    for run in runs.values():
        run()  # the first call compiles
    repeats = max(1, round(0.2 / seconds(runs["torch"], 1)))  # a turn of about a fifth of a second
    times = [{f: 1000 * seconds(run, min(repeats, 100)) for f, run in runs.items()} for _ in range(turns)]
    return {f: round(min(turn[f] for turn in times), 3) for f in FRAMEWORKS}


if __name__ == "__main__":
    typer.run(main)
