"""Answer the questions of `docs/design` and of the families' chapters by training; write `docs/results/ablations/`.

    python -m benchmarks.ablations                  # all of them anew, about three hours
    python -m benchmarks.ablations kernel dropout   # some of them
    python -m benchmarks.ablations --missing        # those without a record

Each variant is trained with the same recipe in both frameworks: for a design question on a part of Fashion-MNIST
from three seeds, for a family's chapter on the whole of it from one. Of a seed, both frameworks start from the same
weights and see the same batches. The validation images judge: these are choices, and the test images are not there
to choose by.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # as many runs side by side as there are cores

import typer
from tqdm import tqdm

from backbones.building import FRAMEWORKS
from backbones.errors import unknown
from backbones.files import write_whole
from backbones.training.processor import cpu
from backbones.training.record import commit, framework_version
from backbones.training.report import RECORDS
from benchmarks.ablations.families import QUESTIONS
from benchmarks.ablations.running import VALIDATION_IMAGES, ledger, runs_of

RESULTS = RECORDS.parent / "ablations"


def main(
    topics: Annotated[
        list[str] | None, typer.Argument(help="Questions to answer; all if none is named.")
    ] = None,
    missing: Annotated[bool, typer.Option("--missing", help="Only those without a record.")] = False,
) -> None:
    """Train the variants of each question, and write a record per question."""
    for topic in topics or []:
        if topic not in QUESTIONS:
            raise typer.BadParameter(unknown("question", topic, QUESTIONS))
    wanted = [t for t in topics or QUESTIONS if not (missing and path_of(t).exists())]
    context = multiprocessing.get_context("spawn")
    cores = len(os.sched_getaffinity(0))
    with (
        ProcessPoolExecutor(cores, context, max_tasks_per_child=1) as pool,
        tqdm(
            total=len(FRAMEWORKS) * sum(len(QUESTIONS[topic].seeds) for topic in wanted), unit="seed"
        ) as bar,
    ):
        tasks = {
            topic: [
                pool.submit(runs_of, topic, f, seed) for seed in QUESTIONS[topic].seeds for f in FRAMEWORKS
            ]
            for topic in wanted
        }
        for futures in tasks.values():
            for future in futures:
                future.add_done_callback(lambda _: bar.update())
        for topic, futures in tasks.items():
            save(topic, [run for future in futures for run in future.result()])


def path_of(topic: str) -> Path:
    """Where a question's record is."""
    return RESULTS / f"{topic}.json"


def save(topic: str, runs: list[dict[str, Any]]) -> None:
    """Write a question's record, whole."""
    study = QUESTIONS[topic]
    variants = {}
    for label, variant in study.variants.items():
        summary = ledger(variant.spec)
        own = [{k: v for k, v in run.items() if k != "variant"} for run in runs if run["variant"] == label]
        variants[label] = {
            "parameters": summary.parameters,
            "multiply_adds": summary.multiply_adds,
            "spec": asdict(variant.spec),
            "tanh": variant.tanh,
            "recipe": {"schedule": type(variant.recipe).__name__, **variant.recipe.to_json()},
            "runs": own,
        }
    record = {
        "topic": topic,
        "dataset": "fashion-mnist",
        "images": study.images,
        "validation_images": VALIDATION_IMAGES,
        "versions": {framework: framework_version(framework) for framework in FRAMEWORKS},
        "commit": commit(),
        "cpu": cpu(),
        "variants": variants,
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    text = json.dumps(record, indent=1) + "\n"
    write_whole(path_of(topic), lambda part: part.write_text(text))


if __name__ == "__main__":
    typer.run(main)
