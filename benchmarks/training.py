"""How fast training is, against the usual way, in turns in one run.

    python -m benchmarks.training                 # all nets, all ways; rewrites this processor's record
    python -m benchmarks.training --model lenet5  # one net; the record keeps what it has of the others

The usual way is what most tutorials show. PyTorch: each image by itself through PIL, a tensor and
`Normalize`, collected by a `DataLoader`. Keras: `fit` on arrays. This project's way is `backbones.training.fit`.
Between them stand the steps from one to the other. All train the same net from the same start, on the same batches in
the same order, at the same rates and without augmentation, so that what they reach can be compared, too.

The ways take turns, since other work on a machine comes and goes; the median of the turns counts. Each turn is a
process of its own, so that its peak memory is its own, too.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Annotated, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import torch
import torch.nn.functional as F
import typer
from numpy.typing import NDArray
from PIL import Image
from torch.utils.data import DataLoader, Dataset, Sampler
from tqdm import tqdm

import backbones
import backbones.training.tensorflow as keras_loop
from backbones import data
from backbones.files import write_whole
from backbones.training import Recipe, evaluate, fit, model_for, recipe_for
from backbones.training.processor import cpu, multiplies_bfloat16, peak_memory
from benchmarks.speed import BF16, OURS, USUAL, accuracy_table, record_of, table

# Net, data set, and the part of the training images that makes a turn last half a minute at most.
NETS = {
    "lenet5": ("mnist", 55_000),
    "vgg_mini": ("fashion-mnist", 5_000),
    "resnet20": ("fashion-mnist", 4_000),
}


@dataclass(frozen=True)
class Turn:
    """One turn of one way.

    Attributes:
        images_per_second: In training, without validation.
        accuracy: On the validation images, afterwards.
        peak_memory: Of the whole process, in bytes.
    """

    images_per_second: float
    accuracy: float
    peak_memory: int


class PerSample(Dataset):
    """As `torchvision.datasets.MNIST` with `ToTensor` and `Normalize`: the same steps for each image, in order.

    torchvision itself is not among the requirements, since it goes with one build of PyTorch alone. Its own data
    set and transforms (0.28, beside these in one process) take longer per image than this, not less.
    """

    def __init__(self, dataset: data.Dataset) -> None:
        self.images = torch.from_numpy(dataset.train.images[..., 0].copy())
        self.labels = torch.from_numpy(dataset.train.labels)
        self.normalize = Normalize([dataset.mean], [dataset.std])

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        label = int(self.labels[index])
        picture = Image.fromarray(self.images[index].numpy(), mode="L")
        pixels = torch.from_numpy(np.array(picture, np.uint8, copy=True))
        pixels = pixels.view(picture.size[1], picture.size[0], len(picture.getbands()))
        tensor = pixels.permute((2, 0, 1)).contiguous().to(dtype=torch.get_default_dtype()).div(255)
        return self.normalize(tensor), label


class Normalize(torch.nn.Module):
    """Images, C x H x W, less their channels' means, over their standard deviations."""

    def __init__(self, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.mean, self.std = mean, std

    def forward(self, tensor: torch.Tensor) -> torch.Tensor:
        """A new tensor; the old one stays as it is."""
        tensor = tensor.clone()
        mean = torch.as_tensor(self.mean, dtype=tensor.dtype, device=tensor.device)
        std = torch.as_tensor(self.std, dtype=tensor.dtype, device=tensor.device)
        if (std == 0).any():
            raise ValueError("a channel's standard deviation is zero")
        return tensor.sub_(mean.view(-1, 1, 1)).div_(std.view(-1, 1, 1))


class SameOrder(Sampler):
    """The images of each epoch in the order that `backbones.data.batches` has them in."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed, self.epoch = count, seed, 0

    def __len__(self) -> int:
        return self.count

    def __iter__(self) -> Iterator[int]:
        order = order_of(self.count, self.seed, self.epoch)
        self.epoch += 1
        return iter(order.tolist())


def order_of(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """As in `backbones.data.batches`; a test holds the two together."""
    return np.random.default_rng([seed, epoch]).permutation(count)


def usual_torch(model: Any, dataset: data.Dataset, recipe: Recipe) -> float:
    """The loop of most PyTorch tutorials."""
    sampler = SameOrder(len(dataset.train), recipe.seed)
    own = torch.Generator()  # the loader draws a number each epoch, which dropout would miss
    loader = DataLoader(PerSample(dataset), recipe.batch_size, sampler=sampler, drop_last=True, generator=own)
    return plain_torch(model, recipe, len(loader), lambda epoch: loader)


def from_memory(model: Any, dataset: data.Dataset, recipe: Recipe) -> float:
    """The same loop, with batches cut from one array; N x C x H x W in memory as in the model."""

    def batches(epoch: int) -> Iterable:
        made = data.batches(
            dataset.train,
            batch_size=recipe.batch_size,
            seed=recipe.seed,
            epoch=epoch,
            mean=dataset.mean,
            std=dataset.std,
        )
        for images, labels in made:
            yield torch.from_numpy(images).permute(0, 3, 1, 2).contiguous(), torch.from_numpy(labels)

    model = model.to(memory_format=torch.contiguous_format)
    return plain_torch(model, recipe, recipe.steps_per_epoch(len(dataset.train)), batches)


def plain_torch(model: Any, recipe: Recipe, steps: int, batches: Callable[[int], Iterable]) -> float:
    """Train, and say how many seconds it took."""
    torch.manual_seed(recipe.seed)  # for dropout, as in `fit`
    optimizer = torch.optim.AdamW(model.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    shares = [*recipe.learning_rates(steps) / recipe.learning_rate, 0]  # it asks for one more at the end
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, shares.__getitem__)
    model.train()
    start = time.perf_counter()
    for epoch in range(recipe.epochs):
        for images, labels in batches(epoch):
            optimizer.zero_grad()
            loss = F.cross_entropy(model(images), labels)
            loss.backward()
            optimizer.step()
            schedule.step()
    return time.perf_counter() - start


def usual_tensorflow(model: Any, dataset: data.Dataset, recipe: Recipe) -> float:
    """`fit` on arrays, with Keras's defaults but for the recipe's numbers. One call per epoch, for the order's sake."""
    steps = recipe.steps_per_epoch(len(dataset.train))
    rates = keras_loop.RateOfStep(recipe.learning_rates(steps))
    optimizer = keras.optimizers.AdamW(rates, weight_decay=recipe.weight_decay, epsilon=recipe.epsilon)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer, loss, metrics=["accuracy"])
    keras_loop.seed_dropout(model, recipe.seed)

    def fit_epoch(epoch: int) -> float:
        order = order_of(len(dataset.train), recipe.seed, epoch)[: steps * recipe.batch_size]
        images = ((dataset.train.images[order] / 255 - dataset.mean) / dataset.std).astype(np.float32)
        labels = dataset.train.labels[order]
        start = time.perf_counter()
        model.fit(images, labels, batch_size=recipe.batch_size, shuffle=False, verbose=0)
        return time.perf_counter() - start

    return sum(map(fit_epoch, range(recipe.epochs)))


def one_step_per_call(model: Any, dataset: data.Dataset, recipe: Recipe) -> float:
    """This project's loop in Keras, back in Python after every step."""
    keras_loop.STEPS_PER_CALL = 1  # this process takes one turn and ends
    return ours(model, dataset, recipe)


def ours(model: Any, dataset: data.Dataset, recipe: Recipe) -> float:
    """This project's loop."""
    return fit(model, dataset, recipe, progress=False).seconds


def ours_bf16(model: Any, dataset: data.Dataset, recipe: Recipe) -> float:
    """This project's loop in bfloat16."""
    return ours(model, dataset, replace(recipe, precision="bf16"))


WAYS: dict[str, dict[str, Callable[..., float]]] = {
    "torch": {USUAL: usual_torch, "batches from memory": from_memory, OURS: ours, BF16: ours_bf16},
    "tensorflow": {
        USUAL: usual_tensorflow,
        "one step per call": one_step_per_call,
        OURS: ours,
        BF16: ours_bf16,
    },
}


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
    return Turn(epochs * len(part.train) / seconds, evaluate(model, part, "validation").accuracy, memory)


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
        str | None, typer.Option(help="Only this net; a record keeps what it has of others.")
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
        if way != BF16 or multiplies_bfloat16()  # elsewhere it takes many times as long
    ]
    seen: dict[tuple[str, str, str], list[Turn]] = {}
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as process:
        for name, framework, way, turn in tqdm(plan, desc="turns"):
            done = process.submit(take_turn, name, framework, way, epochs, turn).result()
            seen.setdefault((name, framework, way), []).append(done)
        # Last, in a process of their own: beside one that is about to end they would be too low.
        peaks = {
            kind: process.submit(matmul_peak, getattr(torch, kind)).result()
            for kind in ("float32", "bfloat16")
        }
        result: dict[str, Any] = {
            "cpu": cpu(),
            "epochs": epochs,
            "peaks": peaks,
            "same_training": True,
            "ways": [],
        }
        for (name, framework, way), of in seen.items():
            result["ways"].append(
                {"model": name, "framework": framework, "way": way, "turns": list(map(asdict, of))}
            )
        result["to_99"] = {f: process.submit(seconds_to, 0.99, f).result() for f in WAYS}
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
