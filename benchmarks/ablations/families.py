"""The tutorials' experiments at full size: all training images, the recipe of the records, the nets in full width.

Only Inception's is at half its width. They take too long for a notebook and for several seeds; `docs/architectures`
shows them.
"""

from __future__ import annotations

from dataclasses import replace

from backbones.alexnet.spec import ALEXNET_MINI
from backbones.resnet.spec import VARIANTS as RESNETS
from backbones.training import Recipe, recipe_for
from benchmarks.ablations.studies import HALF, STUDIES, Study, Variant, each_block, unreduced, with_net


def brief(model: str, epochs: int) -> Recipe:
    """The recipe of a net's records, with fewer epochs, since several nets are to be trained, and whole images.

    Erased rectangles did not pay in short runs.
    """
    recipe = recipe_for(model, "fashion-mnist")
    return replace(recipe, epochs=epochs, augmentation=replace(recipe.augmentation, erase=0.0))


def full_size(variants: dict[str, Variant]) -> Study:
    """A question that all training images answer, from one seed."""
    return Study(variants, images=55_000, seeds=(0,))


ALEXNET = brief("alexnet_mini", epochs=5)
NO_DROPOUT = replace(ALEXNET_MINI, dropout=0.0)
VGG, VGG_NET = brief("vgg_mini", epochs=3), with_net(channels=(32, 64, 128), hidden=(128,), norm="batch")
GOOGLENET = brief("googlenet_mini", epochs=3)
RESNET = brief("resnet20", epochs=3)

FAMILIES: dict[str, Study] = {
    "alexnet": full_size(
        {
            "ReLU": Variant(NO_DROPOUT, ALEXNET),
            "tanh": Variant(NO_DROPOUT, ALEXNET, tanh=True),
            "ReLU, half dropped": Variant(ALEXNET_MINI, ALEXNET),
        }
    ),
    "vgg": full_size(
        {
            "3 x 3": Variant(VGG_NET, VGG),
            "3 x 3 twice": Variant(replace(VGG_NET, depth=2), VGG),
            "3 x 3 three times": Variant(replace(VGG_NET, depth=3), VGG),
            "5 x 5": Variant(replace(VGG_NET, kernel=5), VGG),
        }
    ),
    "inception": full_size(
        {
            "reduced": Variant(HALF, GOOGLENET),
            "not reduced": Variant(replace(HALF, blocks=each_block(HALF, unreduced)), GOOGLENET),
        }
    ),
    "resnet": full_size(
        {
            name: Variant(replace(RESNETS[name], input_size=28, in_channels=1), RESNET)
            for name in ("plain20", "plain56", "resnet20", "resnet56")
        }
    ),
}

# All questions, of the design and of the families.
QUESTIONS = STUDIES | FAMILIES
