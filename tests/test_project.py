"""What holds for the repository as a whole."""

import importlib
import itertools
import json
import re
import subprocess
import sys
import textwrap
import tomllib
from pathlib import Path

import nbformat
import numpy as np
import pytest
from nets import images_for

import backbones
from backbones import convert
from backbones.training.report import load_records, of_own_recipe, results_table

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
TUTORIALS = sorted((ROOT / "tutorials").rglob("*.ipynb"))
NOTEBOOKS = [*TUTORIALS, *sorted((ROOT / "docs/compare").glob("*.ipynb"))]

# A framework that is not installed: it cannot be found, and importing it fails.
WITHOUT = """
import importlib.util, sys
class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {missing!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}")
sys.meta_path.insert(0, Missing())
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {missing!r} else found(name, package)
"""


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_importing_the_package_imports_no_framework():
    code = """
    import sys, backbones
    backbones.summary("lenet5")
    print([name for name in ("torch", "tensorflow", "keras") if name in sys.modules])
    """
    assert python(textwrap.dedent(code)).stdout == "[]\n"


@pytest.mark.parametrize(
    ("framework", "missing"), [("torch", ["tensorflow", "keras"]), ("tensorflow", ["torch"])]
)
def test_each_half_works_without_the_other(framework, missing, tmp_path):
    other = "tensorflow" if framework == "torch" else "torch"
    code = WITHOUT.format(missing=missing) + textwrap.dedent(f"""
    import numpy as np, backbones
    from backbones import convert, data
    from backbones.training import Recipe, evaluate, fit
    images = np.random.default_rng(0).integers(0, 256, (96, 28, 28, 1), dtype=np.uint8)
    labels = np.arange(96) % 10
    tiny = data.Dataset("tiny", images, labels, images, labels, tuple("0123456789"), 0.5, 0.3, validation_size=32)
    model = backbones.create_model("lenet5", {framework!r}, seed=0)
    fit(model, tiny, Recipe(epochs=1, batch_size=32), progress=False)
    backbones.save_weights(model, {str(tmp_path / "w.safetensors")!r})
    backbones.load_weights(model, {str(tmp_path / "w.safetensors")!r})
    assert convert.activations(model, np.zeros((1, 28, 28, 1), np.float32))["logits"].shape == (1, 10)
    evaluate(model, tiny, "test")
    try:
        backbones.create_model("lenet5", {other!r})
    except backbones.BackbonesError as error:
        print(error)
    """)
    result = python(code)
    assert f'install it with: pip install "backbones[{other}]"' in result.stdout, result.stderr


def test_the_repositorys_address_has_one_value():
    address = PROJECT["urls"]["Repository"]
    owner = address.rsplit("/", 1)[0]
    files = [
        ROOT / "README.md",
        ROOT / "CITATION.cff",
        ROOT / "CONTRIBUTING.md",
        ROOT / "mkdocs.yml",
        *NOTEBOOKS,
    ]
    files += [*(ROOT / "docs").rglob("*.md"), *(ROOT / ".github").rglob("*.yml")]
    found = [m for file in files for m in re.findall(rf"{re.escape(owner)}/[\w-]+", file.read_text())]
    assert set(found) == {address}


def test_the_version_has_one_value():
    assert backbones.__version__ == PROJECT["version"]
    assert f"version: {PROJECT['version']}" in (ROOT / "CITATION.cff").read_text()
    assert f"{{{PROJECT['version']}}}" in (ROOT / "README.md").read_text()


def test_the_readme_cites_the_project_as_the_bibliography_does():
    (citation,) = re.findall(r"```bibtex\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    assert citation in (ROOT / "docs" / "references.bib").read_text()


def test_the_readmes_results_are_those_of_the_records():
    shown = re.search(
        r"<!-- results -->\n(.*?)\n<!-- /results -->", (ROOT / "README.md").read_text(), re.DOTALL
    )
    assert shown
    assert shown[1] == results_table(of_own_recipe(load_records()))


MEASURED = re.compile(r"\d\s?(%|per ?cent|(percentage )?points?\b|images/s|images per second)")
CITED = re.compile(r"(Section|Table|Fig\.|Appendix) [\dA-Z]|arXiv:")
# What looks like a measured number and is none of this project's.
NOT_MEASURED = {
    "99.15 % after ten epochs in PyTorch and 99.08 % after twenty": "the author's earlier notebooks",
    "One framework reaches 99.15 %, the other 99.08 %": "the same, as a question",
    "a standard deviation of 0.1 points": "what a question gives",
    "12 degrees, 2 pixels, 15 %": "how strong an augmentation is",
    "within 0.02 percentage points": "the bound that a test holds the shipped weights to",
}


def types_a_measured_number(line):
    bare = re.sub(r"{{.*?}}|{%.*?%}", "", line)
    for phrase in NOT_MEASURED:
        bare = bare.replace(phrase, "")
    return bool(MEASURED.search(bare)) and not CITED.search(line)


@pytest.mark.parametrize(
    ("line", "typed"),
    [
        ("With augmentation LeNet reaches 99.5 %", True),
        ("It gains 0.3 percentage points, with confidence", True),
        ("As this Section says, Keras sees 12,000 images/s", True),
        ("{{ a }} in one, 0.1 points more in the other", True),
        ("It gains {{ gap(10) }} points{% if 10 %}", False),
        ("The paper gains 0.3 points (Table II)", False),
    ],
)
def test_a_typed_number_is_seen(line, typed):
    assert types_a_measured_number(line) == typed


def test_pages_type_no_measured_number():
    """An accuracy in prose must be drawn from a record; a paper's stands on one line with its section or table."""
    pages = [*(ROOT / "docs").rglob("*.md"), *(ROOT / "docs").rglob("*.yaml")]
    texts = {page.relative_to(ROOT): page.read_text() for page in pages}
    for path in NOTEBOOKS:
        cells = [cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "markdown"]
        texts[path.relative_to(ROOT)] = "\n".join(cell.source for cell in cells)
    typed = [
        (page, x) for page, text in texts.items() for x in text.splitlines() if types_a_measured_number(x)
    ]
    assert not typed
    assert [phrase for phrase in NOT_MEASURED if phrase not in "".join(texts.values())] == []


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_notebooks_are_committed_without_outputs(path):
    for cell in json.loads(path.read_text())["cells"]:
        assert not cell.get("outputs")
        assert cell.get("execution_count") is None


OWN_NETS = [
    ("lenet5", "torch", "lenet/LeNet5_mnist_torch", "LeNet5"),
    ("lenet5", "tensorflow", "lenet/LeNet5_mnist_tf", "lenet5"),
    ("vgg_mini", "torch", "vgg/VGG_fashion_torch", "VGGMini"),
    ("vgg_mini", "tensorflow", "vgg/VGG_fashion_tf", "vgg_mini"),
    ("alexnet_mini", "torch", "alexnet/AlexNet_fashion_torch", "AlexNetMini"),
    ("alexnet_mini", "tensorflow", "alexnet/AlexNet_fashion_tf", "alexnet_mini"),
    ("googlenet_mini", "torch", "inception/Inception_fashion_torch", "GoogLeNetMini"),
    ("googlenet_mini", "tensorflow", "inception/Inception_fashion_tf", "googlenet_mini"),
    ("resnet20", "torch", "resnet/ResNet_fashion_torch", "ResNet"),
    ("resnet20", "tensorflow", "resnet/ResNet_fashion_tf", "resnet"),
]


@pytest.mark.parametrize(("model", "framework", "file", "net"), OWN_NETS)
def test_a_tutorials_own_net_is_the_packages(model, framework, file, net, rng):
    """Weights fit by name, logits are the same to the bit, and so is the distribution of the start."""
    notebook = nbformat.read(ROOT / "tutorials" / f"{file}.ipynb", as_version=4)
    (cell,) = [c for c in notebook.cells if "net" in c.metadata.get("tags", [])]
    scope: dict = {}
    imports = "import keras\nimport torch\nfrom keras import layers\nfrom torch import nn"
    exec(f"{imports}\n{cell.source}", scope)  # the notebook is this repository's own code
    grey = {"in_channels": 1, "input_size": 28} if model == "resnet20" else {}
    ours = backbones.create_model(model, framework=framework, seed=0, **grey)
    own = scope[net]()
    for key, value in convert.state(own).items():
        assert value.std() == pytest.approx(convert.state(ours)[key].std(), rel=0.35, abs=1e-9), key
    convert.copy_weights(ours, own)
    images = images_for(ours, 4, rng)
    left, right = convert.activations(ours, images), convert.activations(own, images)
    assert list(left) == list(right)
    assert all(np.array_equal(left[key], right[key]) for key in left)


def test_every_tutorial_has_a_net_of_its_own():
    names = {path.relative_to(ROOT / "tutorials").with_suffix("").as_posix() for path in TUTORIALS}
    assert names == {file for _, _, file, _ in OWN_NETS}


def test_the_tests_that_caught_a_break_are_still_there():
    """docs/contributing.md lists what was broken on purpose, and which test caught it."""
    rows = re.findall(r"`(test_\w+\.py)`, `(test_\w+)`", (ROOT / "docs/_hooks/breaks.md").read_text())
    assert len(rows) > 20
    for file, test in rows:
        assert f"def {test}(" in (ROOT / "tests" / file).read_text(), test


PUBLIC = ["backbones", "backbones.convert", "backbones.data", "backbones.training"]
# What is on a page of the API, but has no example of its own.
WITHOUT_EXAMPLE = {
    "convert": "a module: its functions have them",
    "data": "a module: its functions have them",
    "training": "a module: its functions have them",
    "State": "another name of a dict, which cannot hold one",
    "RECIPES": "a dict, which cannot hold one: recipe_for reads it, and has one",
}


def on_pages_of_the_api():
    """Every object that a page names, by itself or among the members of its module."""
    found = set()
    for page in (ROOT / "docs" / "api").glob("*.md"):
        for block in page.read_text().split("\n::: ")[1:]:
            path, _, options = block.partition("\n")
            found.add(path)
            if members := re.search(r"members: \[(.*?)\]", options):
                found |= {f"{path}.{name}" for name in members[1].split(", ")}
            elif path in sys.modules:  # all that is defined in it
                module = vars(sys.modules[path])
                found |= {
                    f"{path}.{name}" for name, o in module.items() if getattr(o, "__module__", "") == path
                }
    return found


@pytest.mark.parametrize("module", PUBLIC)
def test_every_public_name_is_on_a_page_of_the_api_with_an_example(module):
    names = importlib.import_module(module).__all__
    documented = on_pages_of_the_api()
    for name in names:
        thing = getattr(sys.modules[module], name)
        place = getattr(thing, "__module__", module)
        assert documented & {f"{module}.{name}", f"{place}.{name}"}, name
        assert (">>>" in (thing.__doc__ or "")) != (name in WITHOUT_EXAMPLE), name


LARGER_AND_LARGER = (
    ("vgg11", "vgg13", "vgg16", "vgg19"),
    ("resnet18", "resnet34", "resnet50", "resnet101", "resnet152"),
    *((f"vgg{layers}", f"vgg{layers}_bn") for layers in (11, 13, 16, 19)),
)


@pytest.mark.parametrize("framework", ["torch", "tensorflow"])
@pytest.mark.parametrize("nets", LARGER_AND_LARGER)
def test_a_net_with_more_layers_takes_longer(nets, framework):
    """A latency record that says otherwise was taken while something else ran. Two within 2 % may change places."""
    record = json.loads((ROOT / "docs/results/latency.json").read_text())["milliseconds"]
    times = [record[name][framework] for name in nets]
    assert all(more > 0.98 * fewer for fewer, more in itertools.pairwise(times))
