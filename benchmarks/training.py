"""How fast training is, against the usual way, in turns in one run.

    python -m benchmarks.training                 # all nets, all ways; rewrites this processor's record
    python -m benchmarks.training --model lenet5  # one net; the record keeps what it has of the others

What the ways are is said in `benchmarks.ways`. They take turns, since other work on a machine comes and goes; the
median of the turns counts. Each turn is a process of its own, so that its peak memory is its own, too.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow  # noqa: F401, since it reads its settings here, before `backbones` changes one
import torch
import typer
from tqdm import tqdm

import backbones
from backbones import data
from backbones.files import write_whole
from backbones.training import Recipe, evaluate, fit, model_for, recipe_for
from backbones.training.processor import cpu, multiplies_bfloat16, peak_memory
from benchmarks.speed import BF16, MANY, ONE, USUAL, accuracy_table, record_of, table
from benchmarks.ways import WAYS

# Net, data set, and the part of the training images that makes a turn last half a minute at most.
NETS = {
    "lenet5": ("mnist", 55_000),
    "vgg_mini": ("fashion-mnist", 5_000),
    "resnet20": ("fashion-mnist", 4_000),
}

# What this project's way in Keras does by itself, and so is not measured twice.
BY_ITSELF = {"lenet5": MANY, "vgg_mini": ONE, "resnet20": ONE}


@dataclass(frozen=True)
class Turn:
    """One turn of one way.

    Attributes:
        images_per_second: In training, without validation.
        after_the_first: Likewise, in all epochs but the first: nothing is traced there. None if there was one alone.
        accuracy: On the validation images, afterwards.
        peak_memory: Of the whole process, in bytes.
    """

    images_per_second: float
    after_the_first: float | None
    accuracy: float
    peak_memory: int


def take_turn(model_name: str, framework: str, way: str, epochs: int, seed: int) -> Turn:
    """One turn, in a process that does nothing else."""
    dataset_name, images = NETS[model_name]
    dataset = data.load(dataset_name)
    part = dataset.part(train=images, validation=5_000) if images < len(dataset.train) else dataset
    batch_size = recipe_for(model_name, dataset_name).batch_size
    recipe = Recipe(epochs=epochs, batch_size=batch_size, seed=seed)
    model = model_for(part, model_name, framework, seed=seed)
    seconds = WAYS[framework][way](model, part, recipe)
    memory = peak_memory()
    speed = epochs * len(part.train) / sum(seconds)
    later = (epochs - 1) * len(part.train) / sum(seconds[1:]) if epochs > 1 else None
    return Turn(speed, later, evaluate(model, part, "validation").accuracy, memory)


def in_own_process(task: Callable, *arguments: Any) -> Any:
    """What a task gives in a process that does nothing else."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as process:
        return process.submit(task, *arguments).result()


@contextmanager
def left_to_tensorflow() -> Iterator[None]:
    """Let processes begun here use oneDNN only where TensorFlow does by itself; `backbones` has it do so anywhere."""
    told = os.environ.pop("TF_ENABLE_ONEDNN_OPTS")
    try:
        yield
    finally:
        os.environ["TF_ENABLE_ONEDNN_OPTS"] = told


def matmul_peak(dtype: torch.dtype) -> float:
    """The most operations per second that a matrix multiplication reaches here, in ten seconds of trials."""
    side = 1024
    a, b = torch.randn(side, side, dtype=dtype), torch.randn(side, side, dtype=dtype)
    best, end = float("inf"), time.perf_counter() + 10
    while time.perf_counter() < end:
        start = time.perf_counter()
        a @ b
        best = min(best, time.perf_counter() - start)
    return 2 * side**3 / best


def seconds_to(accuracy: float, framework: str) -> tuple[int, float, float]:
    """Epochs, seconds and validation accuracy of the shortest LeNet-5 run on MNIST that reaches so much."""
    mnist = data.load("mnist")
    for epochs in range(1, 11):
        model = backbones.create_model("lenet5", framework, seed=0)
        history = fit(model, mnist, replace(recipe_for("lenet5", "mnist"), epochs=epochs), progress=False)
        reached = history.epochs[-1].validation_accuracy
        if reached >= accuracy:
            return epochs, history.seconds, reached
    raise RuntimeError(f"no run of up to ten epochs reached {accuracy:.0%}")


def main(
    model: Annotated[
        Literal["lenet5", "vgg_mini", "resnet20"] | None,
        typer.Option(help="Only this net; a record keeps what it has of others."),
    ] = None,
    turns: Annotated[int, typer.Option(min=1, help="Turns of each way.")] = 3,
    epochs: Annotated[int, typer.Option(min=1, help="Epochs in each turn.")] = 2,
) -> None:
    """Compare the usual way to train with this project's, step by step from one to the other."""
    plan = [
        (name, framework, way, turn)
        for name in ([model] if model else NETS)
        for framework, ways in WAYS.items()
        for turn in range(turns)
        for way in ways
        if way != BY_ITSELF[name]
        and (way != BF16 or multiplies_bfloat16())  # elsewhere it takes many times as long
    ]
    seen: dict[tuple[str, str, str], list[Turn]] = {}
    for name, framework, way, turn in tqdm(plan, desc="turns"):
        with left_to_tensorflow() if way == USUAL else nullcontext():
            done = in_own_process(take_turn, name, framework, way, epochs, turn)
        seen.setdefault((name, framework, way), []).append(done)
    result: dict[str, Any] = {
        "cpu": cpu(),
        "epochs": epochs,
        "peaks": {
            kind: in_own_process(matmul_peak, getattr(torch, kind)) for kind in ("float32", "bfloat16")
        },
        "same_training": True,
        "ways": [],
    }
    for (name, framework, way), of in seen.items():
        result["ways"].append(
            {"model": name, "framework": framework, "way": way, "turns": list(map(asdict, of))}
        )
    result["to_99"] = {framework: in_own_process(seconds_to, 0.99, framework) for framework in WAYS}
    path = record_of(cpu())
    if not model:
        write(path, result)
    elif path.exists():
        write(path, with_others(result, json.loads(path.read_text())))
    print(table(result), accuracy_table(result), sep="\n\n")


def with_others(result: dict[str, Any], before: dict[str, Any]) -> dict[str, Any]:
    """A measurement of some nets, and what the record had of the others."""
    measured = {way["model"] for way in result["ways"]}
    ways = result["ways"] + [way for way in before["ways"] if way["model"] not in measured]
    peaks = {kind: max(peak, before["peaks"][kind]) for kind, peak in result["peaks"].items()}
    return result | {"peaks": peaks, "ways": sorted(ways, key=lambda way: list(NETS).index(way["model"]))}


def write(path: Path, result: dict[str, Any]) -> None:
    """Keep a processor's record."""
    write_whole(path, lambda part: part.write_text(json.dumps(result, indent=1) + "\n"))


if __name__ == "__main__":
    typer.run(main)
