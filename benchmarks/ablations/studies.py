"""The questions of `docs/design`, each with the variants that answer it. Everything else stays as it is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from backbones.data import Augmentation
from backbones.inception.spec import GOOGLENET_MINI, Block, GoogLeNetSpec
from backbones.resnet.spec import VARIANTS as RESNETS
from backbones.spec import Spec
from backbones.training import Recipe
from benchmarks.ablations.spec import SmallNetSpec

# Full-length runs of the minis take hours; these are for many variants and seeds. No augmentation and no smoothing,
# since both are questions of their own.
RECIPE = Recipe(epochs=5, learning_rate=3e-3)
NET = SmallNetSpec()


@dataclass(frozen=True)
class ConstantRate(Recipe):
    """The peak rate at every step behind the warm-up."""

    def learning_rates(self, steps_per_epoch: int) -> NDArray[np.float32]:
        """The rate of every step of the run."""
        rates = super().learning_rates(steps_per_epoch)
        rates[round(self.warmup * len(rates)) :] = self.learning_rate
        return rates


@dataclass(frozen=True)
class Variant:
    """One way to decide.

    Attributes:
        spec: The net.
        recipe: How it is trained.
        tanh: Whether tanh stands where the net has ReLU.
    """

    spec: Spec = NET
    recipe: Recipe = RECIPE
    tanh: bool = False


@dataclass(frozen=True)
class Study:
    """One question.

    Attributes:
        variants: Label -> one way to decide.
        images: How many training images each run learns from.
        seeds: Whose initial weights and batches the runs have.
        shifts: By how many pixels to shift the validation images for further accuracies.
        signal: Whether to measure how large the layers' values are before any training.
    """

    variants: Mapping[str, Variant]
    images: int = 6000
    seeds: tuple[int, ...] = (0, 1, 2)
    shifts: tuple[int, ...] = ()
    signal: bool = False


def nets(**specs: Spec) -> dict[str, Variant]:
    """Variants that differ in the net. An underscore in a label stands for a space."""
    return {label.replace("_", " "): Variant(spec) for label, spec in specs.items()}


def with_net(**changes: object) -> SmallNetSpec:
    """The small net with some fields changed."""
    return replace(NET, **changes)  # type: ignore[arg-type]


def with_recipe(spec: Spec = NET, **changes: object) -> Variant:
    """A net, and the recipe with some fields changed."""
    return Variant(spec, replace(RECIPE, **changes))  # type: ignore[arg-type]


def each_block(spec: GoogLeNetSpec, change: Callable[[Block, int], Block]) -> tuple[Block, ...]:
    """A net's blocks, each changed by its number of inputs."""
    inputs, blocks = spec.stem[0], []
    for block in spec.blocks:
        blocks.append(change(block, inputs))
        inputs = block.conv1 + block.conv3 + block.conv5 + block.project
    return tuple(blocks)


def halved(block: Block) -> Block:
    """The block with half as many maps in each branch."""
    maps = ("conv1", "reduce3", "conv3", "reduce5", "conv5", "project")
    return replace(block, **{key: getattr(block, key) // 2 for key in maps})


# `googlenet_mini` at half its width: without reductions, training it as it is would take several times as long.
HALF = replace(GOOGLENET_MINI, stem=(32,), blocks=tuple(map(halved, GOOGLENET_MINI.blocks)))


def unreduced(block: Block, inputs: int) -> Block:
    """The block whose 1 x 1 convolutions keep as many maps as come in."""
    return replace(block, reduce3=inputs, reduce5=inputs)


def headed(block: Block, inputs: int) -> Block:
    """The block with an auxiliary head, behind the pooling: on 7 x 7 maps."""
    return replace(block, head=block.name == "inception4a")


def googlenet(change: Callable[[Block, int], Block] = lambda block, inputs: block, **changes: object) -> Spec:
    """The first blocks of `googlenet_mini` at a quarter of their width, each changed by its number of inputs."""
    net = replace(HALF, blocks=tuple(map(halved, HALF.blocks[:3])))
    return replace(net, blocks=each_block(net, change), **changes)  # type: ignore[arg-type]


def small_resnet(name: str) -> Spec:
    """A net of Section 4.2 of He et al. 2015 at a quarter of its width, on 28 x 28 grey images."""
    return replace(RESNETS[name], channels=(4, 8, 16), input_size=28, in_channels=1)


DEEP = with_net(depth=4)
LARGE_HEAD = with_net(hidden=(256,))
FEW = 1500  # images that a large head can learn by heart
SOME = 4000  # images for nets that take longer

STUDIES: dict[str, Study] = {
    "convolution": Study(
        nets(
            convolution=NET,
            dense=with_net(channels=(), hidden=(27,)),  # about as many parameters as the net of convolutions
            wide_dense=with_net(channels=(), hidden=(256,)),
        ),
        shifts=(1, 2, 3),
    ),
    "kernel": Study(
        {
            "3 x 3": Variant(NET),
            "3 x 3 twice": Variant(with_net(depth=2)),
            "5 x 5": Variant(with_net(kernel=5)),
            "7 x 7": Variant(with_net(kernel=7)),
        }
    ),
    "activation": Study(
        # Pooling by mean, since pooling by maximum bends, too.
        nets(
            ReLU=with_net(depth=2, downsample="mean"),
            tanh=with_net(depth=2, downsample="mean", activation="tanh"),
            sigmoid=with_net(depth=2, downsample="mean", activation="sigmoid"),
            none=with_net(depth=2, downsample="mean", activation="linear"),
        )
    ),
    "downsampling": Study(
        nets(maximum=NET, mean=with_net(downsample="mean"), stride=with_net(downsample="stride"))
    ),
    "dropout": Study(
        {
            f"{share:.0%} dropped".replace("%", " %"): with_recipe(
                replace(LARGE_HEAD, dropout=share), epochs=20
            )
            for share in (0.0, 0.25, 0.5, 0.75)
        },
        images=FEW,
    ),
    "normalisation": Study(
        {
            "none": with_recipe(with_net(depth=2)),
            "local": with_recipe(with_net(depth=2, norm="local")),
            "batch": with_recipe(with_net(depth=2, norm="batch")),
            "none, ten times the rate": with_recipe(with_net(depth=2), learning_rate=3e-2),
            "batch, ten times the rate": with_recipe(with_net(depth=2, norm="batch"), learning_rate=3e-2),
        },
        images=SOME,
    ),
    "pointwise": Study(nets(reduced=googlenet(), not_reduced=googlenet(unreduced)), images=SOME),
    "branches": Study(
        {
            "four branches": Variant(googlenet()),
            # As many multiply-adds, all in 3 x 3 windows.
            "one branch": Variant(with_net(channels=(9, 18, 36), depth=2, norm="batch", average=True)),
        },
        images=SOME,
    ),
    "auxiliary": Study(
        {
            "no head": Variant(googlenet(batch_norm=False)),
            "one head": Variant(googlenet(headed, batch_norm=False, auxiliary=True)),
            "no head, BatchNorm": Variant(googlenet()),
            "one head, BatchNorm": Variant(googlenet(headed, auxiliary=True)),
        },
        images=SOME,
    ),
    "residual": Study(
        nets(**{name: small_resnet(name) for name in ("plain20", "plain56", "resnet20", "resnet56")}),
        images=SOME,
    ),
    "global-average": Study(
        nets(flattened=NET, with_a_hidden_layer=LARGE_HEAD, averaged=with_net(average=True)), shifts=(1, 2, 3)
    ),
    "initialisation": Study(
        {
            "He": Variant(DEEP),
            "Xavier": Variant(replace(DEEP, init="xavier")),
            "0.01": Variant(replace(DEEP, init="small")),
            "0.01, BatchNorm": Variant(replace(DEEP, init="small", norm="batch")),
            "He, BatchNorm": Variant(replace(DEEP, norm="batch")),
        },
        images=SOME,
        signal=True,
    ),
    "schedule": Study(
        {
            "warm-up and cosine": with_recipe(DEEP, learning_rate=1e-2),
            "warm-up": Variant(DEEP, ConstantRate(epochs=5, learning_rate=1e-2)),
            "cosine": with_recipe(DEEP, learning_rate=1e-2, warmup=0.0),
            "constant": Variant(DEEP, ConstantRate(epochs=5, learning_rate=1e-2, warmup=0.0)),
            "constant, a tenth": Variant(DEEP, ConstantRate(epochs=5, learning_rate=1e-3, warmup=0.0)),
        },
        images=SOME,
    ),
    "augmentation": Study(
        {
            "neither": with_recipe(LARGE_HEAD, epochs=20),
            "mirrored and shifted": with_recipe(
                LARGE_HEAD, epochs=20, augmentation=Augmentation(shift=1.0, flip=True)
            ),
            "labels smoothed": with_recipe(LARGE_HEAD, epochs=20, label_smoothing=0.1),
            "both": with_recipe(
                LARGE_HEAD, epochs=20, augmentation=Augmentation(shift=1.0, flip=True), label_smoothing=0.1
            ),
        },
        images=FEW,
    ),
    "precision": Study(
        {"float32": Variant(with_net(depth=2)), "bfloat16": with_recipe(with_net(depth=2), precision="bf16")}
    ),
}
