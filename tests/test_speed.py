"""The benchmark of training compares like with like."""

import os
import subprocess
import sys

import numpy as np
import pytest

import backbones
from backbones import convert
from backbones.training import Recipe
from benchmarks.speed import OURS, USUAL
from benchmarks.training import in_own_process, left_to_tensorflow, with_others
from benchmarks.ways import WAYS


@pytest.mark.parametrize(
    ("framework", "way", "apart"),
    # Keras's own AdamW puts epsilon elsewhere, so that the smallest gradients have another effect.
    [("torch", USUAL, 1e-4), ("torch", "batches from memory", 1e-4), ("tensorflow", USUAL, 0.1)],
)
# With dropout the random numbers must be the same, too; BatchNorm carries rounding much further.
@pytest.mark.parametrize(
    ("name", "options", "bound"), [("lenet5", {}, 0.0), ("vgg_mini", {"channels": (4, 8, 16)}, 0.3)]
)
def test_the_ways_whose_speed_is_compared_are_one_training(framework, way, apart, name, options, bound, tiny):
    """So that the difference in accuracy is that of rounding; in another order the images lead elsewhere."""

    def trained(way, seed=1):
        model = backbones.create_model(name, framework, seed=0, **options)
        WAYS[framework][way](model, tiny, Recipe(epochs=2, seed=seed))
        return np.concatenate([weights.ravel() for weights in convert.state(model).values()])

    ours, usual = trained(OURS), trained(way)
    distance = np.linalg.norm(usual - ours) / np.linalg.norm(trained(OURS, seed=2) - ours)
    assert distance < max(bound, apart)


def test_the_usual_way_leaves_tensorflow_its_own_convolutions():
    """`backbones` has TensorFlow use oneDNN on any processor, which most scripts do not."""
    setting = "TF_ENABLE_ONEDNN_OPTS"
    with left_to_tensorflow():
        assert in_own_process(os.getenv, setting) is None
    assert in_own_process(os.getenv, setting) == os.environ[setting]
    code = f"""
import os, sys

class Importing:
    def find_spec(name, *_):
        if name == "tensorflow":
            sys.exit(os.environ.get({setting!r}, "left alone"))

sys.meta_path.insert(0, Importing)
import benchmarks.training
"""
    environment = {name: value for name, value in os.environ.items() if name != setting}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.stderr.strip() == "left alone"


def test_a_net_that_is_measured_again_leaves_the_others_in_the_record():
    def measured(*nets, speed):
        ways = [{"model": net, "turns": [speed]} for net in nets]
        return {"cpu": "a", "peaks": {"float32": speed}, "ways": ways}

    before = measured("lenet5", "vgg_mini", "resnet20", speed=1)
    after = with_others(measured("vgg_mini", speed=2), before)
    assert [(way["model"], *way["turns"]) for way in after["ways"]] == [
        ("lenet5", 1),
        ("vgg_mini", 2),
        ("resnet20", 1),
    ]
    assert after["peaks"] == {"float32": 2}
