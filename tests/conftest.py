"""What all tests share: quiet frameworks, one thread each, and fixtures. What they call is in nets.py and tiny.py.

No framework is loaded here: pytest's own process, which only hands out the tests, does without.
"""

import gc
import os

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
# Two workers share two cores. What they start inherits it.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["TF_NUM_INTRAOP_THREADS"] = "1"
os.environ["TF_NUM_INTEROP_THREADS"] = "1"

import backbones  # isort: skip  (before TensorFlow: it sets how TensorFlow computes)

import itertools
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from tiny import make_tiny

from backbones import convert
from backbones.building import FRAMEWORKS
from backbones.training.processor import peak_memory

collect_ignore = ["browser"]  # `make check-site` names its files: they need the built site


def pytest_collection_finish():
    """Building a net makes many objects: look for garbage less often, and not at all in what the imports left."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)


@pytest.fixture(autouse=True)
def few_gigabytes():
    """No test, of VGG-19 and ResNet-152 neither, would take a process of its own to 6 GB: one begins at less than 1."""
    references = Path("/proc/self/clear_refs")
    if not references.exists():  # not on Linux
        yield
        return
    references.write_text("5")  # forgets the peak so far
    before = peak_memory()
    yield
    assert peak_memory() - before < 5e9


@pytest.fixture
def rng():
    return np.random.default_rng(0)


@pytest.fixture(scope="session")
def built():
    """Every registered net, thin, as it was built: to build one takes long in Keras."""
    from nets import thin

    @cache
    def build(name, framework):
        model = backbones.create_model(name, framework, seed=0, **thin(name))
        return model, convert.state(model)

    return build


@pytest.fixture(params=itertools.product(backbones.list_models(), FRAMEWORKS), ids="-".join)
def model(request, built):
    """Every registered net in each framework, thin; each test finds it as it was built."""
    model, start = built(*request.param)
    yield model
    convert.load_state(model, start)


@pytest.fixture
def both_models(name, built):
    """The net of a test's `name` in both frameworks, likewise."""
    nets = [built(name, framework) for framework in FRAMEWORKS]
    yield [model for model, _ in nets]
    for model, start in nets:
        convert.load_state(model, start)


@pytest.fixture
def tiny():
    return make_tiny()
