"""Records of runs: on disk, damaged, and those that come with the project."""

import json

import pytest
from nets import SHORT

import backbones
from backbones import figures
from backbones.training import History, fit
from backbones.training.record import Record, make_record
from backbones.training.report import RECORDS, load_records


def test_a_record_survives_the_disk_and_has_the_agreed_keys(tmp_path, tiny):
    model = backbones.create_model("lenet5", seed=0)
    history = fit(model, tiny, SHORT, progress=False)
    record = make_record(
        model="lenet5",
        dataset="mnist",
        framework="torch",
        recipe=SHORT,
        history=history,
        images=640,
        accuracy=0.5,
    )
    record.save(tmp_path / "a" / "record.json")
    assert Record.load(tmp_path / "a" / "record.json") == record
    assert set(vars(record)) == {
        "model", "dataset", "framework", "framework_version", "seed", "epochs", "history", "test_accuracy",
        "seconds", "images_per_second", "commit", "cpu", "peak_memory", "recipe",
    }  # fmt: skip
    assert History.from_json(record.history) == history
    assert [p.name for p in (tmp_path / "a").iterdir()] == ["record.json"]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        ({"model": 5}, "model must be a string, not 5"),
        ({"model": "../../x"}, "unknown model '../../x'; known: lenet5"),
        ({"seconds": -1.0}, "seconds must be a finite number of at least 0, not -1.0"),
        ({"images_per_second": -1.0}, "images_per_second must be a finite number of at least 0, not -1.0"),
        ({"recipe": {}}, "recipe must be one of 10 epochs, not None"),
        ({"recipe": {"epochs": 3}}, "recipe must be one of 10 epochs, not 3"),
        (
            lambda whole: {"history": whole["history"][::-1]},
            r"history must be of epochs 1 to 10, not \[10, 9, ",
        ),
        (
            lambda whole: {"history": [epoch | {"seconds": -1.0} for epoch in whole["history"]]},
            "seconds must be a finite number of at least 0",
        ),
        ({"dataset": "cifar"}, "unknown data set 'cifar'; known: mnist"),
        ({"framework": "jax"}, "unknown framework 'jax'; known: torch"),
        (
            {"test_accuracy": "0.9"},
            "test_accuracy must be a finite number of at least 0 and at most 1, not '0.9'",
        ),
        (
            {"test_accuracy": 90.0},
            "test_accuracy must be a finite number of at least 0 and at most 1, not 90.0",
        ),
        ({"history": [{"loss": 1.0}] * 10}, "history must be a list of epochs"),
        ({"history": [3] * 10}, "history must be a list of epochs"),
        ({"history": []}, r"history must be of epochs 1 to 10, not \[\]"),
        ({"more": 1}, "unexpected keyword argument 'more'"),
        (None, "missing 14 required"),
    ],
)
def test_a_damaged_record_is_refused_by_name(damage, said, tmp_path):
    whole = json.loads(min(RECORDS.glob("lenet5-mnist-torch-*.json")).read_text())
    path = tmp_path / "bad.json"
    damage = damage(whole) if callable(damage) else damage
    path.write_text(json.dumps({} if damage is None else whole | damage))
    with pytest.raises(backbones.BackbonesError, match=said) as error:
        load_records(tmp_path)
    assert str(error.value).startswith(f"{path} is not a record of a run: ")
    assert "\n" not in str(error.value)


def test_a_seed_counts_once(tmp_path):
    """Twice, or once from other weights than drawn ones, it would make a mean and a spread of something else."""
    text = min(RECORDS.glob("lenet5-mnist-torch-*.json")).read_text()
    for name in ("a", "b"):
        (tmp_path / f"{name}.json").write_text(text)
    with pytest.raises(backbones.BackbonesError, match=r"a.json and .*b.json are of one model, .* and seed"):
        load_records(tmp_path)


def test_no_run_is_left_out_of_the_curves():
    history = History.from_json(json.loads(min(RECORDS.glob("*.json")).read_text())["history"])
    runs = {f"run {i}": [history] for i in range(2 * len(figures.COLOURS))}
    assert len(figures.curves(runs).axes[1].lines) == 2 * len(runs)


def test_a_record_is_a_json_object(tmp_path):
    path = tmp_path / "list.json"
    path.write_text("[1]")
    with pytest.raises(
        backbones.BackbonesError, match=r"list.json is not a record of a run: .* object, not \[1\]"
    ):
        Record.load(path)


def test_committed_records_are_what_their_names_say():
    for (model, dataset, framework, epochs), records in load_records().items():
        for record in records:
            assert (
                RECORDS / f"{model}-{dataset}-{framework}-{epochs}-epochs-seed-{record.seed}.json"
            ).exists()
            assert len(record.history) == record.epochs == record.recipe["epochs"]
            assert 0.9 < record.test_accuracy < 1
            assert not record.commit.endswith("-dirty")
    assert len(list(RECORDS.glob("*.json"))) == sum(map(len, load_records().values()))
