"""Answer the questions of `docs/design` by training, and write `docs/results/ablations/`.

    python -m benchmarks.ablations                  # all of them anew, about an hour
    python -m benchmarks.ablations kernel dropout   # some of them
    python -m benchmarks.ablations --missing        # those without a record

Each variant is trained with the same recipe on a part of Fashion-MNIST, in both frameworks, from three seeds; of a
seed, both frameworks start from the same weights and see the same batches. The validation images judge: these are
choices, and the test images are not there to choose by.
"""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("OMP_NUM_THREADS", "1")  # as many runs side by side as there are cores

import numpy as np
import typer
from tqdm import tqdm

import backbones
from backbones import convert, data
from backbones.data import Dataset
from backbones.errors import BackbonesError
from backbones.files import write_whole
from backbones.registry import FRAMEWORKS, summarize_spec, unknown
from backbones.spec import Spec
from backbones.summary import Summary
from backbones.training import evaluate, fit
from backbones.training.record import commit, cpu, framework_version
from backbones.training.report import RECORDS
from benchmarks.ablations.spec import SmallNetSpec, summary_of
from benchmarks.ablations.studies import STUDIES, Study, Variant

RESULTS = RECORDS.parent / "ablations"
SEEDS = (0, 1, 2)
VALIDATION_IMAGES = 5000


def main(
    topics: Annotated[
        list[str] | None, typer.Argument(help="Questions to answer; all if none is named.")
    ] = None,
    missing: Annotated[bool, typer.Option("--missing", help="Only those without a record.")] = False,
) -> None:
    """Train the variants of each question, and write a record per question."""
    for topic in topics or []:
        if topic not in STUDIES:
            raise typer.BadParameter(unknown("question", topic, STUDIES))
    wanted = [t for t in topics or STUDIES if not (missing and path_of(t).exists())]
    context = multiprocessing.get_context("spawn")
    cores = len(os.sched_getaffinity(0))
    with (
        ProcessPoolExecutor(cores, context, max_tasks_per_child=1) as pool,
        tqdm(total=len(wanted) * len(FRAMEWORKS) * len(SEEDS), unit="seed") as bar,
    ):
        tasks = {
            topic: [pool.submit(runs_of, topic, f, seed) for seed in SEEDS for f in FRAMEWORKS]
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
    study = STUDIES[topic]
    variants = {}
    for label, variant in study.variants.items():
        summary = ledger(variant.spec)
        own = [{k: v for k, v in run.items() if k != "variant"} for run in runs if run["variant"] == label]
        variants[label] = {
            "parameters": summary.parameters,
            "multiply_adds": summary.multiply_adds,
            "spec": asdict(variant.spec),
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


def runs_of(topic: str, framework: str, seed: int) -> list[dict[str, Any]]:
    """Train every variant of a question once, in a process of its own."""
    one_thread(framework)
    study = STUDIES[topic]
    part = data.load("fashion-mnist").part(train=study.images, validation=VALIDATION_IMAGES)
    return [
        {"variant": label, "framework": framework, "seed": seed, **run(study, variant, part, framework, seed)}
        for label, variant in study.variants.items()
    ]


def run(study: Study, variant: Variant, part: Dataset, framework: str, seed: int) -> dict[str, Any]:
    """Train one variant; what came out."""
    recipe = replace(variant.recipe, seed=seed)
    model = start(variant.spec, framework, seed)
    found: dict[str, Any] = {"signal": signal(model, part)} if study.signal else {}
    try:
        history = fit(model, part, recipe, progress=False)
    except BackbonesError as error:  # the loss is no longer a number: a result, too
        return found | {"failed": str(error)}
    last = history.epochs[-1]
    shifted = {str(pixels): evaluate(model, moved(part, pixels)).accuracy for pixels in study.shifts}
    return (
        found
        | ({"shifted": shifted} if shifted else {})
        | {
            "train_accuracy": last.train_accuracy,
            "train_loss": last.train_loss,
            "validation_accuracy": last.validation_accuracy,
            "validation_loss": last.validation_loss,
            "validation_by_epoch": [epoch.validation_accuracy for epoch in history.epochs],
            "seconds": round(history.seconds, 2),
        }
    )


def start(spec: Spec, framework: str, seed: int) -> Any:
    """A net with the seed's initial weights, which PyTorch draws for both."""
    model = build(spec, "torch", seed)
    if framework == "torch":
        return model
    partner = build(spec, "tensorflow", seed)
    convert.load_state(partner, convert.state(model))
    return partner


def build(spec: Spec, framework: str, seed: int) -> Any:
    """A small net, or one of the package's in another size."""
    if not isinstance(spec, SmallNetSpec):
        return backbones.registry.build(spec, framework, seed)
    if framework == "tensorflow":
        from benchmarks.ablations import tensorflow

        return tensorflow.build(spec)
    import torch as pytorch

    from benchmarks.ablations import torch

    with pytorch.random.fork_rng():
        pytorch.manual_seed(seed)
        return torch.build(spec)


def ledger(spec: Spec) -> Summary:
    """What a net costs."""
    return summary_of(spec) if isinstance(spec, SmallNetSpec) else summarize_spec(spec)


def signal(model: Any, part: Dataset) -> list[float]:
    """How large the values behind each convolution are (root mean square), before any training."""
    images = (part.train.images[:256].astype(np.float32) / 255 - part.mean) / part.std
    layers: Iterator[tuple[str, Any]] = iter(convert.activations(model, images).items())
    return [float(np.sqrt(np.mean(values**2))) for name, values in layers if name.startswith("act")]


def moved(part: Dataset, pixels: int) -> Dataset:
    """The same images, so many pixels further to the right; black comes in from the left."""
    images = np.roll(part.train_images, pixels, axis=2)
    images[:, :, :pixels] = 0
    return replace(part, train_images=images)


def one_thread(framework: str) -> None:
    """Keep a run to one core."""
    import torch

    torch.set_num_threads(1)
    if framework == "tensorflow":
        import tensorflow as tf

        tf.config.threading.set_intra_op_parallelism_threads(1)
        tf.config.threading.set_inter_op_parallelism_threads(1)


if __name__ == "__main__":
    typer.run(main)
