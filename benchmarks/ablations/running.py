"""One question's runs of one seed in one framework, in a process of its own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

import backbones
from backbones import convert, data
from backbones.data import Dataset
from backbones.errors import BackbonesError
from backbones.registry import summarize_spec
from backbones.spec import Spec
from backbones.summary import Summary
from backbones.training import evaluate, fit
from benchmarks.ablations.families import QUESTIONS
from benchmarks.ablations.spec import SmallNetSpec, summary_of
from benchmarks.ablations.studies import Study, Variant

VALIDATION_IMAGES = 5000


def runs_of(topic: str, framework: str, seed: int) -> list[dict[str, Any]]:
    """Train every variant of a question once, in a process of its own."""
    one_thread(framework)
    study = QUESTIONS[topic]
    part = data.load("fashion-mnist").part(train=study.images, validation=VALIDATION_IMAGES)
    return [
        {"variant": label, "framework": framework, "seed": seed, **run(study, variant, part, framework, seed)}
        for label, variant in study.variants.items()
    ]


def run(study: Study, variant: Variant, part: Dataset, framework: str, seed: int) -> dict[str, Any]:
    """Train one variant; what came out."""
    recipe = replace(variant.recipe, seed=seed)
    model = start(variant.spec, framework, seed)
    model = with_tanh(model, framework) if variant.tanh else model
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
        return backbones.building.build(spec, framework, seed)
    if framework == "tensorflow":
        from benchmarks.ablations import tensorflow

        return tensorflow.build(spec)
    import torch as pytorch

    from benchmarks.ablations import torch

    with pytorch.random.fork_rng():
        pytorch.manual_seed(seed)
        return torch.build(spec)


def with_tanh(model: Any, framework: str) -> Any:
    """The same net and weights, with tanh where it has ReLU."""
    if framework == "tensorflow":
        from benchmarks.ablations import tensorflow

        return tensorflow.with_tanh(model)
    from benchmarks.ablations import torch

    return torch.with_tanh(model)


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
