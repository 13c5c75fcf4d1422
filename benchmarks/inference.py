"""How fast our nets answer, how long they take to build and how much memory that needs, against the libraries'.

    python -m benchmarks.inference

Rewrites `docs/results/inference.json`. Ours against torchvision's, where that is installed, and against those of
keras.applications, in turns in one run: the median of the turns counts. Building is measured in a process of its own,
since what one model took is not given back.
Of GoogLeNet torchvision has another net (with BatchNorm and 3 x 3 for the 5 x 5), Keras has none.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from statistics import median
from typing import Annotated, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import typer
from tabulate import tabulate
from tqdm import tqdm

import backbones
from backbones.building import FRAMEWORKS
from backbones.files import write_whole
from backbones.training.processor import cpu
from backbones.training.record import framework_version
from backbones.training.report import RECORDS

RESULT = RECORDS.parent / "inference.json"
TARGET = 0.97
MODELS = ("vgg16", "resnet50", "googlenet", "inception_v3")  # as torchvision names them, too
IN_KERAS = {"vgg16": "VGG16", "resnet50": "ResNet50", "inception_v3": "InceptionV3"}


def torch_runner(model, images: np.ndarray, channels_last: bool = False) -> Callable[[], None]:
    """A PyTorch model's answer to images, N x H x W x C, put into PyTorch's usual order in memory or left in this."""
    import torch

    x = torch.from_numpy(images).permute(0, 3, 1, 2)
    x = x if channels_last else x.contiguous()
    model.eval()

    def run() -> None:
        with torch.inference_mode():
            model(x)

    return run


def keras_runner(model, images: np.ndarray) -> Callable[[], None]:
    """A Keras model's answer, as a compiled graph."""
    import tensorflow as tf

    x = tf.constant(images)
    answer = tf.function(lambda: model(x, training=False))
    return lambda: answer().numpy()


def build(framework: str, whose: str, name: str):
    """One model, ours or the library's."""
    if whose == "ours":
        # keras.applications strides in the first 1 x 1, as the paper does: less work than in the 3 x 3.
        like_theirs: dict[str, Any] = (
            {"stride_in_1x1": True} if (framework, name) == ("tensorflow", "resnet50") else {}
        )
        return backbones.create_model(name, framework, **like_theirs)
    if framework == "torch":
        import torchvision  # type: ignore[import-not-found]

        extra = {"init_weights": True} if name in ("googlenet", "inception_v3") else {}
        return getattr(torchvision.models, name)(weights=None, **extra)
    import keras

    return getattr(keras.applications, IN_KERAS[name])(weights=None, classifier_activation=None)


def seconds(run: Callable[[], object], repeats: int) -> float:
    """The time of one call, the mean of several."""
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def compare_speed(framework: str, name: str, batch: int, turns: int) -> dict[str, Any]:
    """Images per second of ours and of theirs, which take turns, and the ratio of the two.

    In PyTorch also of theirs for images whose channels come last in memory: that much is the order's alone.
    """
    size = backbones.summary(name).input.height
    images = np.random.default_rng(0).standard_normal((batch, size, size, 3)).astype(np.float32)
    runner = torch_runner if framework == "torch" else keras_runner
    models = {whose: build(framework, whose, name) for whose in ("ours", "theirs")}
    runs = {whose: runner(model, images) for whose, model in models.items()}
    if framework == "torch":  # ours reorder the images themselves
        runs["theirs_channels_last"] = torch_runner(models["theirs"], images, channels_last=True)
    times: dict[str, list[float]] = {whose: [] for whose in runs}
    for run in runs.values():
        run()  # the first call compiles
    repeats = max(1, 8 // batch)
    for turn in range(turns):
        for whose in runs if turn % 2 == 0 else reversed(runs):
            times[whose].append(seconds(runs[whose], repeats))
    speeds = {whose: round(batch / median(times[whose]), 2) for whose in times}
    ratio = median(t / o for o, t in zip(times["ours"], times["theirs"], strict=True))
    return {"framework": framework, "net": name, "batch": batch, **speeds, "ratio": round(ratio, 3)}


BUILD = """
import time
import benchmarks.inference as b
from backbones.training.processor import peak_memory
{framework_import}
before = peak_memory()
start = time.perf_counter()
model = b.build({framework!r}, {whose!r}, {name!r})
print(time.perf_counter() - start, (peak_memory() - before) / 2**20)
"""
IMPORTS = {
    "torch": "import torch, torchvision",
    "tensorflow": "import keras; keras.layers.Dense(1).build((1, 1))",
}


def compare_building(framework: str, name: str) -> dict[str, Any]:
    """The seconds that building ours and theirs takes, and by how many megabytes it raises the peak of memory.

    Fewer turns than the speed has: each is a process, and imports a framework.
    """
    found: dict[str, list[float]] = {"ours": [], "theirs": []}
    most = dict.fromkeys(found, 0.0)
    for _ in range(3):
        for whose in found:
            script = BUILD.format(
                framework_import=IMPORTS[framework], framework=framework, whose=whose, name=name
            )
            done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
            took, memory = map(float, done.stdout.split()[-2:])
            found[whose].append(took)
            most[whose] = max(most[whose], memory)
    row: dict[str, Any] = {"framework": framework, "net": name}
    for whose in found:
        row |= {f"{whose}_seconds": round(median(found[whose]), 2), f"{whose}_megabytes": round(most[whose])}
    return row


def available(framework: str, name: str) -> bool:
    """Whether there is anything to compare with."""
    if framework == "torch":
        return importlib.util.find_spec("torchvision") is not None
    return name in IN_KERAS


def main(
    turns: Annotated[int, typer.Option(min=1, help="Turns of each model.")] = 15,
    batches: Annotated[list[int] | None, typer.Option("--batch", help="Images at once.")] = None,
) -> None:
    """Compare our nets with torchvision's and with those of keras.applications."""
    pairs = [(f, name) for f in FRAMEWORKS for name in MODELS if available(f, name)]
    if not available("torch", "vgg16"):
        print("torchvision is not installed: PyTorch is left out. To compare: pip install torchvision")
    cases = [(f, name, batch) for f, name in pairs for batch in batches or [1, 16]]
    speed = [compare_speed(f, name, batch, turns) for f, name, batch in tqdm(cases, desc="speed")]
    building = [compare_building(f, name) for f, name in tqdm(pairs, desc="building")]
    print(f"Images per second; the ratio is to be at least {TARGET}:\n{tabulate(speed, 'keys')}\n")
    print(tabulate(building, "keys"))
    record = {"cpu": cpu(), "versions": versions(), "turns": turns, "slowest_summary": slowest_summary()}
    text = json.dumps(record | {"images_per_second": speed, "building": building}, indent=1) + "\n"
    write_whole(RESULT, lambda part: part.write_text(text))


def slowest_summary() -> dict[str, Any]:
    """The ledger that takes longest to write, and how long."""
    times = {name: seconds(partial(backbones.summary, name), 1) for name in backbones.list_models()}
    name = max(times, key=times.__getitem__)
    return {"net": name, "seconds": round(times[name], 4)}


def versions() -> dict[str, str]:
    """Of both frameworks, and of torchvision where it is installed."""
    found = {framework: framework_version(framework) for framework in FRAMEWORKS}
    if available("torch", "vgg16"):
        found["torchvision"] = importlib.metadata.version("torchvision")
    return found


if __name__ == "__main__":
    typer.run(main)
