"""The design pages' evidence: one small net in both frameworks, and records of what the code asks."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from backbones import convert, data
from backbones.training import Recipe, fit
from benchmarks.ablations.__main__ import path_of
from benchmarks.ablations.families import FAMILIES, QUESTIONS
from benchmarks.ablations.running import build, ledger, moved, start, with_tanh
from benchmarks.ablations.spec import SmallNetSpec
from benchmarks.ablations.studies import STUDIES

PAGES = Path(__file__).parents[1] / "docs/design"
SMALL_NETS = {v.spec: f"{t}-{label}" for t, s in QUESTIONS.items() for label, v in s.variants.items()}


AS_BEFORE, NO_CHANGE = Recipe().to_json(), asdict(data.Augmentation())


def as_json(value):
    return json.loads(json.dumps(value))


@pytest.mark.parametrize("topic", QUESTIONS)
def test_a_record_is_of_the_study_in_the_code(topic):
    record = json.loads(path_of(topic).read_text())
    study = QUESTIONS[topic]
    assert record["images"] == study.images
    assert list(record["variants"]) == list(study.variants)
    for label, variant in study.variants.items():
        kept = record["variants"][label]
        assert kept.get("tanh", False) == variant.tanh
        assert kept["spec"] == as_json(asdict(variant.spec))
        recipe = {"schedule": type(variant.recipe).__name__, **variant.recipe.to_json()}
        # What a recipe could not say when the record was made is at its default: it was not done.
        earlier = as_json(
            AS_BEFORE | kept["recipe"] | {"augmentation": NO_CHANGE | kept["recipe"]["augmentation"]}
        )
        assert earlier == as_json(recipe)
        assert (kept["parameters"], kept["multiply_adds"]) == (
            ledger(variant.spec).parameters,
            ledger(variant.spec).multiply_adds,
        )
        runs = [(run["framework"], run["seed"]) for run in kept["runs"]]
        assert runs == [(framework, seed) for seed in study.seeds for framework in ("torch", "tensorflow")]


def test_each_study_has_its_page_and_each_page_its_study():
    shown = [page.stem for page in PAGES.glob("*.md") if page.stem != "index"]
    assert sorted(shown) == sorted(STUDIES)
    for topic in STUDIES:
        assert f'{{{{ ablation("{topic}") }}}}' in (PAGES / f"{topic}.md").read_text()


@pytest.mark.parametrize("family", FAMILIES)
def test_each_family_shows_its_experiment_at_full_size(family):
    page = (PAGES.parent / f"architectures/{family}.md").read_text()
    assert f'{{{{ ablation("{family}") }}}}' in page


@pytest.mark.parametrize("spec", [s for s in SMALL_NETS if isinstance(s, SmallNetSpec)], ids=SMALL_NETS.get)
def test_the_small_net_is_one_net_in_both_frameworks(spec, rng):
    torch_model, keras_model = build(spec, "torch", 0), start(spec, "tensorflow", 0)
    assert sum(p.numel() for p in torch_model.parameters()) == ledger(spec).parameters
    images = rng.standard_normal((4, 28, 28, 1)).astype(np.float32)
    left, right = convert.activations(torch_model, images), convert.activations(keras_model, images)
    for layer, output in ((layer.name, layer.output) for layer in ledger(spec).layers):
        assert left[layer].reshape(4, -1).shape[1] == output.size, layer
        if layer == "flatten":  # the same values, in another order: see the converter
            continue
        scale = np.abs(left[layer]).max()
        np.testing.assert_allclose(
            left[layer].ravel(), right[layer].ravel(), atol=1e-5 * scale, rtol=0, err_msg=layer
        )


def test_a_constant_rate_is_one():
    recipe = STUDIES["schedule"].variants["constant"].recipe
    assert set(recipe.learning_rates(10)) == {np.float32(recipe.learning_rate)}


def test_moved_images_bring_black_from_the_left():
    images = np.arange(1, 33, dtype=np.uint8).reshape(2, 4, 4, 1)
    labels = np.zeros(2, np.int64)
    part = data.Dataset("tiny", images, labels, images, labels, ("a",), 0.5, 0.3, validation_size=1)
    assert moved(part, 1).train_images[0, :, :, 0].tolist()[0] == [0, 1, 2, 3]


def test_both_frameworks_start_and_learn_alike():
    """One epoch from the same start on the same batches: the losses agree to rounding."""
    part = data.load("fashion-mnist").part(train=320, validation=100)
    variant = STUDIES["normalisation"].variants["batch"]
    losses = [
        fit(start(variant.spec, f, 0), part, variant.recipe, progress=False).epochs[0].train_loss
        for f in ("torch", "tensorflow")
    ]
    assert losses[0] == pytest.approx(losses[1], abs=2e-3)


def test_tanh_stands_where_relu_stood(rng):
    """The same weights in both frameworks, and no value behind a first layer beyond 1, as ReLU's would be."""
    spec = FAMILIES["alexnet"].variants["tanh"].spec
    images = 10 * rng.standard_normal((2, 28, 28, 1)).astype(np.float32)
    seen = [convert.activations(with_tanh(start(spec, f, 0), f), images) for f in ("torch", "tensorflow")]
    assert -1 <= seen[0]["relu1"].min() < -0.9
    assert 0.9 < seen[0]["relu1"].max() <= 1
    for name in ("relu1", "relu5", "logits"):
        np.testing.assert_allclose(seen[0][name], seen[1][name], atol=1e-4)
