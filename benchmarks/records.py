"""Run every training that `docs/results/records` should hold and does not, then refresh the README's table.

    python -m benchmarks.records                 # run what is missing
    python -m benchmarks.records --readme-only   # only write the README's table anew

Each run is a process of its own, so that neither memory nor random state passes from one to the next, on a core
of its own: two runs side by side get more done than one on two cores. Stopped at any moment, the same command
goes on with the epochs that are missing: what is not finished is kept in `runs/`.
"""

from __future__ import annotations

import os
import queue
import re
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from tqdm import tqdm

import backbones
from backbones import data
from backbones.training import model_for, recipe_for
from backbones.training.report import RECORDS, load_records, of_own_recipe, results_table
from backbones.training.run_folder import RunFolder
from backbones.weights import SHIPPED

README = Path("README.md")
UNFINISHED = Path("runs")  # checkpoints and weights, not committed
BETWEEN_MARKERS = re.compile(r"(?<=<!-- results -->\n).*?(?=<!-- /results -->)", re.DOTALL)


@dataclass(frozen=True)
class Run:
    """One training to record."""

    model: str
    dataset: str
    framework: str
    epochs: int
    seed: int

    @property
    def path(self) -> Path:
        """Where its record is."""
        return (
            RECORDS
            / f"{self.model}-{self.dataset}-{self.framework}-{self.epochs}-epochs-seed-{self.seed}.json"
        )

    @property
    def folder(self) -> RunFolder:
        """Where it runs."""
        return RunFolder(UNFINISHED / self.path.stem)


def _runs(model: str, dataset: str, seeds: int) -> list[Run]:
    epochs = recipe_for(model, dataset).epochs
    # In turns, so that a slow hour of the machine hits both.
    return [Run(model, dataset, f, epochs, seed) for seed in range(seeds) for f in ("torch", "tensorflow")]


RUNS = [
    *_runs("lenet5", "mnist", seeds=5),
    *_runs("lenet5_1998", "mnist", seeds=3),
    *_runs("lenet5", "fashion-mnist", seeds=3),
    *_runs("alexnet_mini", "fashion-mnist", seeds=3),
    *_runs("vgg_mini", "fashion-mnist", seeds=3),
    *_runs("googlenet_mini", "fashion-mnist", seeds=1),
    *_runs("resnet20", "fashion-mnist", seeds=1),
]


def main(
    readme_only: Annotated[bool, typer.Option("--readme-only", help="Train nothing.")] = False,
) -> None:
    """Run what is missing, then refresh the README's results table."""
    missing = [] if readme_only else [run for run in RUNS if not run.path.exists()]
    free = queue.SimpleQueue[int]()
    cores = sorted(os.sched_getaffinity(0)) if missing else [0]
    for core in cores:
        free.put(core)
    with ThreadPoolExecutor(len(cores)) as pool:
        list(tqdm(pool.map(lambda run: record(run, free), missing), total=len(missing), disable=not missing))
    for run in RUNS:  # only now: the runs that follow would count as those of a changed checkout
        ship(run)
    table = results_table(of_own_recipe(load_records()))
    README.write_text(BETWEEN_MARKERS.sub(lambda _: table + "\n", README.read_text()))


def record(run: Run, free: queue.SimpleQueue[int]) -> None:
    """Train, unless that was done and only the record is not kept yet, and keep the record."""
    if not run.folder.record.exists():
        train(run, free)
    run.path.parent.mkdir(parents=True, exist_ok=True)
    # Not a copy: where a record was deleted to be made anew, no old one must stand in for it.
    shutil.move(run.folder.record, run.path)


def train(run: Run, free: queue.SimpleQueue[int]) -> None:
    """Train with the command line that readers use, on one core.

    Both frameworks start from the same weights of a seed: those that PyTorch draws.
    """
    folder = run.folder.path
    start = folder / "start.safetensors"
    if not start.exists():
        model = model_for(data.load(run.dataset), run.model, "torch", seed=run.seed)
        backbones.save_weights(model, start)
    command = ["train", run.model, "--framework", run.framework, "--dataset", run.dataset]
    # Every number of the recipe, the precision on whatever processor.
    precision = recipe_for(run.model, run.dataset).precision
    command += ["--epochs", str(run.epochs), "--seed", str(run.seed), "--precision", precision]
    command += ["--weights", str(start), "--out", str(folder), "--resume"]
    core = free.get()
    try:
        with (folder / "log.txt").open("a") as log:
            subprocess.run(
                [sys.executable, "-m", "backbones.cli", *command],
                check=True,
                stdout=log,
                stderr=log,
                preexec_fn=lambda: os.sched_setaffinity(0, {core}),
            )
    finally:
        free.put(core)


def ship(run: Run) -> None:
    """Put the weights of PyTorch's first seed into the package: settled before any run, so that none is picked."""
    weights = run.folder.weights
    if run.framework == "torch" and run.seed == 0 and weights.exists():
        SHIPPED.mkdir(exist_ok=True)
        shutil.copy(weights, SHIPPED / f"{run.model}-{run.dataset}.safetensors")


if __name__ == "__main__":
    typer.run(main)
