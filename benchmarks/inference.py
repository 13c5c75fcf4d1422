"""How fast our nets answer, how long they take to build and how much memory that needs, against the libraries'.

    python -m benchmarks.inference

Ours against torchvision's, where that is installed, and against those of keras.applications, in turns in one run: the
median of the turns counts. Building is measured in a process of its own, since what one model took is not given back.
Of GoogLeNet torchvision has another net (with BatchNorm and 3 x 3 for the 5 x 5), Keras has none.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import time
from collections.abc import Callable
from statistics import median
from typing import Annotated, Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import typer
from tabulate import tabulate
from tqdm import tqdm

import backbones

TARGET = 0.97
MODELS = ("vgg16", "resnet50", "googlenet", "inception_v3")
IN_TORCHVISION = {name: name for name in MODELS}
IN_KERAS = {"vgg16": "VGG16", "resnet50": "ResNet50", "inception_v3": "InceptionV3"}


def torch_runner(model, images: np.ndarray) -> Callable[[], None]:
    """A PyTorch model's answer to these images, N x H x W x C."""
    import torch

    x = torch.from_numpy(images).permute(0, 3, 1, 2).contiguous()
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
        return getattr(torchvision.models, IN_TORCHVISION[name])(weights=None, **extra)
    import keras

    return getattr(keras.applications, IN_KERAS[name])(weights=None, classifier_activation=None)


def seconds(run: Callable[[], None], repeats: int) -> float:
    """The time of one call, the mean of several."""
    start = time.perf_counter()
    for _ in range(repeats):
        run()
    return (time.perf_counter() - start) / repeats


def compare_speed(framework: str, name: str, batch: int, turns: int) -> list[str]:
    """One row: ours and theirs in turns."""
    size = backbones.summary(name).input.height
    images = np.random.default_rng(0).standard_normal((batch, size, size, 3)).astype(np.float32)
    runner = torch_runner if framework == "torch" else keras_runner
    runs = {whose: runner(build(framework, whose, name), images) for whose in ("ours", "theirs")}
    times: dict[str, list[float]] = {whose: [] for whose in runs}
    for run in runs.values():
        run()  # the first call compiles
    repeats = max(1, 8 // batch)
    for turn in range(turns):
        for whose in runs if turn % 2 == 0 else reversed(runs):
            times[whose].append(seconds(runs[whose], repeats))
    ours, theirs = (median(times[whose]) for whose in ("ours", "theirs"))
    ratio = median(t / o for o, t in zip(times["ours"], times["theirs"], strict=True))
    return [framework, name, str(batch), f"{ours * 1e3:.0f}", f"{theirs * 1e3:.0f}", f"{ratio:.2f}"]


# What `resource` tells starts at the peak of the process that started this one; Linux knows better.
BUILD = """
import re, time
from pathlib import Path
import benchmarks.inference as b
{framework_import}
def peak(): return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1])
before = peak()
start = time.perf_counter()
model = b.build({framework!r}, {whose!r}, {name!r})
print(time.perf_counter() - start, (peak() - before) / 1024)
"""
IMPORTS = {"torch": "import torch", "tensorflow": "import keras; keras.layers.Dense(1).build((1, 1))"}


def compare_building(framework: str, name: str) -> list[str]:
    """One row: seconds and megabytes that building takes."""
    row = [framework, name]
    for whose in ("ours", "theirs"):
        script = BUILD.format(
            framework_import=IMPORTS[framework], framework=framework, whose=whose, name=name
        )
        out = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout
        took, memory = map(float, out.split()[-2:])
        row += [f"{took:.1f}", f"{memory:,.0f}"]
    return row


def available(framework: str, name: str) -> bool:
    """Whether there is anything to compare with."""
    if framework == "torch":
        return importlib.util.find_spec("torchvision") is not None
    return name in IN_KERAS


def main(
    turns: Annotated[int, typer.Option(min=1, help="Turns of each model.")] = 7,
    batches: Annotated[list[int] | None, typer.Option("--batch", help="Images at once.")] = None,
) -> None:
    """Compare our nets with torchvision's and with those of keras.applications."""
    pairs = [(f, name) for f in ("torch", "tensorflow") for name in MODELS if available(f, name)]
    if not available("torch", "vgg16"):
        print("torchvision is not installed: PyTorch is left out. To compare: pip install torchvision")
    cases = [(f, name, batch) for f, name in pairs for batch in batches or [1, 16]]
    rows = [compare_speed(f, name, batch, turns) for f, name, batch in tqdm(cases, desc="speed")]
    headers = ["framework", "net", "batch", "ours, ms", "theirs, ms", f"speed, at least {TARGET}"]
    print(tabulate(rows, headers, disable_numparse=True))
    rows = [compare_building(f, name) for f, name in tqdm(pairs, desc="building")]
    print()
    headers = ["framework", "net", "ours, s", "ours, MB", "theirs, s", "theirs, MB"]
    print(tabulate(rows, headers, disable_numparse=True))


if __name__ == "__main__":
    typer.run(main)
