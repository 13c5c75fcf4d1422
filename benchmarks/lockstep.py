"""How far two frameworks stay together, step by step, from the same start on the same batches.

    python -m benchmarks.lockstep

Writes `docs/results/lockstep.json`. LeNet-5 on MNIST and ResNet-20 on Fashion-MNIST, in float32 and in float64:
the first tells how it goes in practice, the second whether it is the rounding or the rule that differs. LeNet-5 with
ten seeds. Each walk names the first ReLU that lets a value through in one framework alone.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from functools import partial
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


import keras
import numpy as np
import torch
import typer
from numpy.typing import NDArray
from tqdm import tqdm

from backbones import convert, data
from backbones.files import write_whole
from backbones.registry import summarize_spec
from backbones.spec import Spec
from backbones.training import model_for, recipe_for
from backbones.training import tensorflow as tensorflow_loop
from backbones.training import torch as torch_loop
from backbones.training.report import RECORDS
from backbones.training.run import Run

PATH = RECORDS.parent / "lockstep.json"
STEPS, BATCH_SIZE = 200, 32


@dataclass(frozen=True)
class Walk:
    """One pair of runs.

    Attributes:
        model: The net.
        dataset: What it is trained on.
        precision: `"float32"` or `"float64"`.
        seed: Draws the initial weights, and the order and the changes of the images.
    """

    model: str
    dataset: str
    precision: str
    seed: int = 0


WALKS = (
    *(Walk("lenet5", "mnist", "float32", seed) for seed in range(10)),
    Walk("lenet5", "mnist", "float64"),
    Walk("resnet20", "fashion-mnist", "float32"),
    Walk("resnet20", "fashion-mnist", "float64"),
)

Step = Callable[[NDArray[Any], NDArray[np.int64]], float]


@contextlib.contextmanager
def keras_precision(name: str) -> Iterator[None]:
    """Keras models built in here compute in that type."""
    keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


def torch_step(model: torch.nn.Module, run: Run) -> Step:
    """One step of the loop in `backbones.training.torch`, with the loss as the outcome."""
    optimizer = torch_loop.make_optimizer(model, run.recipe)
    rates = iter(run.rates)
    model.train()

    def step(images: NDArray[Any], labels: NDArray[np.int64]) -> float:
        optimizer.param_groups[0]["lr"] = float(next(rates))
        x, y = torch.from_numpy(images).permute(0, 3, 1, 2), torch.from_numpy(labels)
        _, loss = torch_loop.forward(model, x, y, run.recipe.label_smoothing)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        return loss.item()

    return step


def keras_step(model: keras.Model, run: Run) -> Step:
    """One step of the loop in `backbones.training.tensorflow`, with the loss as the outcome."""
    tensorflow_loop.compile_for(model, run.recipe, run.rates, steps=1)

    def step(images: NDArray[Any], labels: NDArray[np.int64]) -> float:
        model.reset_metrics()  # the loss of this step, not the mean of all
        return float(model.train_on_batch(images, labels, return_dict=True)["loss"])

    return step


def differences(left: torch.nn.Module, right: keras.Model) -> float:
    """The largest difference between trained weights, relative to the largest of each array.

    Not between running variances, of which PyTorch's are a little larger by design.
    """
    ours, theirs, names = convert.state(left), convert.state(right), dict(left.named_parameters())
    return max(float(np.abs(ours[k] - theirs[k]).max() / np.abs(ours[k]).max()) for k in names)


def parted(left: torch.nn.Module, right: keras.Model, images: NDArray[Any]) -> dict[str, Any] | None:
    """The first value that the ReLUs let through in one framework and not in the other, in training mode.

    Running statistics move once more than they would, which no training step looks at.
    """
    names = passed_on(convert.models.config_of(left))
    ours: dict[str, NDArray[Any]] = {}
    hooks = [
        left.get_submodule(name).register_forward_hook(
            lambda module, given, out, name=name: ours.update({name: out.numpy().copy()})
        )
        for name in names
    ]
    with torch.no_grad():
        left.train()(torch.from_numpy(images).permute(0, 3, 1, 2))
    for hook in hooks:
        hook.remove()
    theirs = keras.Model(right.inputs[0], [right.get_layer(name).output for name in names])(
        images, training=True
    )
    for name, values in zip(names, map(np.asarray, theirs), strict=True):
        values = values.transpose(0, 3, 1, 2) if values.ndim == 4 else values
        for place in map(tuple, np.argwhere((ours[name] > 0) != (values > 0))):
            found = {"torch": float(ours[name][place]), "tensorflow": float(values[place])}
            return {"layer": name, "place": [int(i) for i in place]} | found
    return None


def passed_on(spec: Spec) -> list[str]:
    """The layers that give on what ReLUs let through: each ReLU, or the pooling behind, which takes the largest."""
    pairs = pairwise(summarize_spec(spec).layers)
    return [(after if after.type == "MaxPool" else row).name for row, after in pairs if row.type == "ReLU"]


def lockstep(walk: Walk, dataset: data.Dataset, steps: int = STEPS) -> dict[str, Any]:
    """Both losses of every step, how far the weights are apart after it, and when a ReLU first parts them."""
    recipe = replace(recipe_for(walk.model, dataset.name), batch_size=BATCH_SIZE, seed=walk.seed)
    left = model_for(dataset, walk.model, "torch", seed=walk.seed).to(getattr(torch, walk.precision))
    with keras_precision(walk.precision):
        right = model_for(dataset, walk.model, "tensorflow", seed=walk.seed)
        convert.copy_weights(left, right)
        run = Run(left, dataset, recipe, progress=False, checkpoint=None)
        take = {"torch": torch_step(left, run), "tensorflow": keras_step(right, run)}
        seen: dict[str, Any] = {"torch": [], "tensorflow": [], "weights": [], "parted": None}
        stream = tqdm(islice(run.batches(0), steps), str(walk), steps, disable=None)
        for number, (images, labels) in enumerate(stream, start=1):
            images = images.astype(walk.precision)
            if not seen["parted"] and (found := parted(left, right, images)):
                seen["parted"] = {"step": number} | found
            for framework, step in take.items():
                seen[framework].append(step(images, labels))
            seen["weights"].append(differences(left, right))
    return seen


def main() -> None:
    """Run all and write the file."""
    found = [asdict(walk) | lockstep(walk, data.load(walk.dataset)) for walk in WALKS]
    for one in found:
        apart = np.abs(np.subtract(one["torch"], one["tensorflow"]))
        name = f"{one['model']}, {one['precision']}, seed {one['seed']}"
        print(
            f"{name}: losses of {STEPS} steps differ by at most {apart.max():.1e}; parted by {one['parted']}"
        )
        del one["weights"]  # for the tests; the page speaks of losses
    write_whole(PATH, partial(Path.write_text, data=json.dumps(found) + "\n"))


if __name__ == "__main__":
    typer.run(main)
