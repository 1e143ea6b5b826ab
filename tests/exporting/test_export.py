"""Exported generators give the samples of their runs, in every format and of every recipe that learns one."""

import json
import subprocess
import sys
from copy import deepcopy
from pathlib import Path
from typing import Any, get_args

import numpy as np
import onnx
import pytest
import torch
from laws.test_streams import built, learn
from torch import nn
from torch.nn.utils import parametrize

import pushforward
from pushforward import cli
from pushforward.commands.sampling import labels_for
from pushforward.errors import TrainingError, UsageError
from pushforward.exporting import writing
from pushforward.exporting.layers import plain
from pushforward.exporting.loading import Generator, load_generator
from pushforward.exporting.of_run import card_of, graph_and_interface
from pushforward.exporting.writing import Format, packed
from pushforward.methods.sources import OnePass, Pass
from pushforward.nets.blocks import GeneratorNet
from pushforward.randomness import stream
from pushforward.recipes import RECIPES
from pushforward.training.asking import first_of
from pushforward.training.experiment import Experiment
from pushforward.training.facts import facts
from pushforward.training.state import members
from pushforward.types import Denoises, Likely, able

SMALL: dict[str, Any] = {"latent": 6, "data": "digits"}
DISTILLED = {"distil_steps": 2, "refine_steps": 2, "pairs": 20, "pair_steps": 3, "critic_width": 8}
WAYS: dict[str, tuple[str, dict[str, Any]]] = {
    "points": ("toy_vgrow", {}),
    "points of classes": ("toy_vgrow", {"conditional": True}),
    "a plain GAN": ("toy_gan", {"data": "toy:grid25", "latent": 5}),
    "digits": ("vgrow_digits", {}),
    "digits of classes": ("vgrow_digits", {"conditional": True}),
    "convolutions": ("vgrow_images", SMALL),
    "convolutions of classes": ("vgrow_images", SMALL | {"conditional": True, "norm": "pixel"}),
    "residual blocks": ("vgrow_images", SMALL | {"net": "resnet"}),
    "residual blocks without norms": ("vgrow_images", SMALL | {"net": "resnet", "norm": "none"}),
    "spectral norms": ("vgrow_images", SMALL | {"net": "resnet", "preset": "paper", "steps": 1}),
    "a DCGAN in colour": ("gan_images", SMALL | {"channels": 3, "conditional": True}),
    "a few images": ("few_gan", {}),
    "a WGAN of a few images": ("few_wgan_gp", {"conditional": False}),
    "codes of a PCA": ("latent_particles", {"distil_steps": 2, "codec": "pca:5"}),
    "codes of a perceptron": ("latent_particles", {"distil_steps": 2, "codec": "autoencoder:3", "conditional": True}),
    "codes of convolutions": (
        "latent_particles",
        {"distil_steps": 2, "codec": "autoencoder:3", "net": "convolutional"},
    ),
    "a bridge in one call": ("bridge_toy", {"conditional": True, **DISTILLED}),
    "codes of points": ("latent_particles", {"distil_steps": 2, "codec": "pca:2", "data": "toy:moons"}),
}
FORMATS: tuple[Format, ...] = get_args(Format)
RUN = {"recipe": "a recipe", "command": "pushforward train", "arguments": {}}


def learned(way: str) -> Experiment:
    name, options = WAYS[way]
    experiment = built(name, **options)
    learn(experiment)
    return experiment


def exported(experiment: Experiment, kind: Format) -> writing.Written:
    graph, interface = graph_and_interface(experiment, "a recipe")
    return packed(
        experiment, graph, interface, card_of(experiment, RUN, interface, graph, metrics=None, licence=None), kind
    )


def agrees(experiment: Experiment, found: Generator, n: int) -> None:
    """With what `pushforward sample` draws, of the same seed, classes too."""
    labels = labels_for(experiment, n, stream(5, "sample", part="labels"), None)
    own = np.asarray(experiment.data.decode(first_of(experiment, n, stream(5, "sample"), labels)))
    given = found.classes(n, 5)
    assert (given is None) == (labels is None)
    assert given is None or labels is None or torch.equal(given, labels)
    x = found(n, seed=5).numpy()
    assert x.dtype == own.dtype
    assert x.shape == own.shape
    if own.dtype == np.uint8:
        assert np.abs(x.astype(int) - own).max() <= 1
        assert (x != own).mean() < 1e-3  # where a level lies between two
    else:
        np.testing.assert_allclose(x, own, rtol=0, atol=1e-5 * np.abs(own).max())


@pytest.mark.parametrize("way", WAYS)
def test_tensors_and_scripts_are_the_run(way):
    experiment = learned(way)
    for kind in ("safetensors", "torchscript"):
        done = exported(experiment, kind)
        assert done.difference <= 1e-5
        agrees(experiment, done.generator, 70)


@pytest.mark.parametrize(
    "way", [pytest.param(way, marks=() if way == "points of classes" else pytest.mark.slow) for way in WAYS]
)
def test_onnx_is_the_run(way):
    experiment = learned(way)
    done = exported(experiment, "onnx")
    assert done.difference <= 1e-5
    for n in (1, 70):  # any number of rows, one too
        agrees(experiment, done.generator, n)
    model = onnx.load_model_from_string(done.content)
    onnx.checker.check_model(model)
    assert [put.name for put in model.graph.output] == ["samples", "model_units"]
    assert all(put.type.tensor_type.shape.dim[0].dim_param for put in (*model.graph.input, *model.graph.output))


def test_every_recipe_that_learns_a_generator_exports_it_and_others_say_what_is_possible():
    taken = {name for name, _ in WAYS.values()}
    for name in RECIPES:
        if name in taken:
            continue
        experiment = built(name)
        method = experiment.method
        several = any(able(part, Denoises) for _, part in members(method))
        assert several or facts(experiment)["shape"] != "generator"
        assert not able(method, OnePass)
        kind = "one pass" if several else "a law" if able(method, Likely) else "particles"
        with pytest.raises(UsageError, match=rf"^{name}: .*{kind}.* pushforward sample.*--distil-steps"):
            graph_and_interface(experiment, name)
    with pytest.raises(UsageError, match="particles"):
        graph_and_interface(built("latent_particles"), "latent_particles")


class _Odd(nn.Module):
    """A layer that no card can tell."""

    def forward(self, z: torch.Tensor) -> torch.Tensor:
        return z.sin()


def guest(net: nn.Module) -> Experiment:
    """An experiment whose method is a stranger's, with one pass."""
    experiment = built("toy_vgrow")
    law: Any = experiment.method.latent  # pyright: ignore[reportAttributeAccessIssue]

    class Method:
        def learn(self, batches, start=0):
            yield {}

        def sample(self, n, rng=None, labels=None):
            return net(law(rng, n)).detach()

        def one_pass(self):
            return Pass(law, (net,))

    experiment.method = Method()
    return experiment


def test_a_strangers_net_goes_where_its_layers_have_no_words():
    experiment = guest(nn.Sequential(nn.Linear(2, 4), _Odd(), nn.Linear(4, 2)))
    assert exported(experiment, "torchscript").difference <= 1e-5
    with pytest.raises(UsageError, match="_Odd has no words in a card; use --format onnx or torchscript"):
        exported(experiment, "safetensors")


def test_what_differs_from_the_run_is_never_written():
    experiment = guest(nn.Linear(2, 2))
    once = experiment.method.sample
    experiment.method.sample = lambda n, rng=None, labels=None: once(n, rng) + 1e-4  # pyright: ignore[reportAttributeAccessIssue]
    with pytest.raises(TrainingError, match=r"differ from the run's own by 0\.0001.* nothing was written"):
        exported(experiment, "safetensors")


def test_a_unit_that_is_not_affine_is_found_out():
    experiment = guest(nn.Linear(2, 2))
    inside: Any = experiment.data
    experiment.data = type(inside)(**{**vars(inside), "decode": lambda x: np.exp(inside.decode(x))})
    with pytest.raises(TrainingError, match="no affine one; nothing was written"):
        exported(experiment, "safetensors")


def call(capsys, *words: object) -> tuple[int, str, str]:
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    return int(ended.value.code or 0), out, err


@pytest.fixture(scope="module")
def run(tmp_path_factory) -> Path:
    """A finished run on a table with classes, in a folder with a telling name."""
    home = tmp_path_factory.mktemp("secret_home")
    rng = np.random.default_rng(0)
    rows = [f"{x:.4f},{y:.4f},{'ab'[k % 3 == 0]}" for k, (x, y) in enumerate(rng.normal(3, 2, (120, 2)))]
    (home / "table.csv").write_text("\n".join(["height,weight,kind", *rows]) + "\n")
    words = ["train", "toy_vgrow", "--data", home / "table.csv", "--labels", "kind", "--conditional", "--steps", 3]
    with pytest.raises(SystemExit) as ended:
        cli.main([str(word) for word in [*words, "--width", 8, "--run", home / "run"]])
    assert not ended.value.code
    return home / "run"


@pytest.mark.parametrize("name", ["m.safetensors", "m.pt", pytest.param("m.onnx", marks=pytest.mark.slow)])
def test_a_file_tells_what_it_is_and_not_where_it_was_made(run, tmp_path, capsys, name):
    out = tmp_path / name
    code, said, err = call(capsys, "export", run, "--out", out, "--licence", "CC BY 4.0", "--json")
    assert (code, err) == (0, "")
    done = json.loads(said)
    assert done["bytes"] == out.stat().st_size
    assert done["largest_difference"] <= 1e-5
    card = load_generator(out, trust=True).card
    assert card["check"]["largest_difference"] == done["largest_difference"]
    assert card["data"]["columns"] == ["height", "weight"]
    assert card["data"]["classes"] == ["a", "b"]
    assert card["data"]["licence"] == "CC BY 4.0"
    assert card["data"]["name"] == "table.csv"
    assert card["run"]["arguments"]["data"] == "table.csv"
    assert card["run"]["seed"] == 0
    assert card["interface"]["latents"] == {"law": "normal", "shape": [2], "mean": 0.0, "deviation": 1.0}
    stored = json.loads((run / "metrics.json").read_text())["metrics"]
    assert card["metrics"]["values"].keys() == stored.keys()
    assert all(card["metrics"]["values"][key]["floor"] == stored[key]["floor"] for key in stored)
    page = Path(done["card"]).read_text()
    assert Path(done["card"]) == tmp_path / f"{name}.md"
    for words in ("height, weight", "CC BY 4.0", "| floor |", "toy\\_vgrow", "largest difference", "rounded | no"):
        assert words in page
    for content in (out.read_bytes(), page.encode()):
        assert b"secret_home" not in content
        assert not any(f"{place}".encode() in content for place in (tmp_path, Path(__file__).parents[2], Path.home()))
    assert call(capsys, "sample", run, "-n", 20, "--seed", 3, "--out", tmp_path / "x.npz")[0] == 0
    own, found = np.load(tmp_path / "x.npz"), load_generator(out, trust=True)
    np.testing.assert_allclose(found(20, seed=3).numpy(), own["x"], rtol=0, atol=1e-4)
    classes = found.classes(20, 3)
    assert classes is not None
    assert [found.card["interface"]["classes"][k] for k in classes] == own["labels"].tolist()
    only = found(20, seed=3, labels="b").numpy()
    assert not np.array_equal(only, own["x"])
    assert np.array_equal(found(7, seed=3, labels=["b"]).numpy(), only[:7])


def test_without_a_licence_or_metrics_a_card_says_so(run, tmp_path):
    experiment = learned("points")
    card = exported(experiment, "safetensors").card
    assert card["data"]["licence"] == "not given"
    assert card["metrics"] == "not evaluated"


def test_what_stands_where_the_card_goes_is_kept(run, tmp_path, capsys):
    notes = tmp_path / "m.pt.md"
    notes.write_text("my notes\n")
    code, _, err = call(capsys, "export", run, "--out", tmp_path / "m.pt")
    assert code == 2
    assert str(notes) in err
    assert notes.read_text() == "my notes\n"
    assert not (tmp_path / "m.pt").exists()
    notes.unlink()
    for _ in range(2):  # a card of before gives way
        assert call(capsys, "export", run, "--out", tmp_path / "m.pt")[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--out", "m.zip"], 2, "ends in .onnx, .pt or .safetensors"),
        (["--out", "m.pt", "--format", "safetensors"], 2, "a safetensors file ends in .safetensors"),
        (["--out", "m.safetensors", "--licence", " "], 2, "--licence ' '"),
        (["--out", "{run}/checkpoints/m.pt"], 2, "belongs to the run"),
    ],
)
def test_words_that_do_not_fit_are_refused_in_one_line(run, tmp_path, capsys, monkeypatch, words, code, said):
    monkeypatch.chdir(tmp_path)
    found = call(capsys, "export", run, *(word.format(run=run) for word in words))
    assert found[0] == code
    assert said in found[2]
    assert found[2].count("\n") == 1
    assert not list(tmp_path.iterdir())


def test_a_failed_check_writes_nothing(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(writing, "TOLERANCE", -1.0)
    code, _, err = call(capsys, "export", run, "--out", tmp_path / "m.safetensors")
    assert code == 1
    assert "nothing was written" in err
    assert not list(tmp_path.iterdir())


def test_packages_that_are_missing_are_named(run, tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    code, _, err = call(capsys, "export", run, "--out", tmp_path / "m.onnx")
    assert code == 2
    assert "python -m pip install onnx onnxruntime onnxscript" in err
    assert not list(tmp_path.iterdir())


def test_reading_a_generator_needs_no_recipe_and_is_public(run, tmp_path, capsys):
    assert call(capsys, "export", run, "--out", tmp_path / "m.safetensors")[0] == 0
    script = (
        "import sys, pushforward\n"
        "x = pushforward.load_generator(sys.argv[1])(3)\n"
        "print([name for name in sys.modules if name.startswith('pushforward.')])\n"
    )
    words = [sys.executable, "-W", "error", "-c", script, str(tmp_path / "m.safetensors")]
    loaded = subprocess.run(words, capture_output=True, text=True, check=True).stdout
    for room in ("recipes", "methods", "flows", "data", "metrics", "commands", "estimators"):
        assert f"pushforward.{room}" not in loaded
    assert pushforward.load_generator is load_generator


def test_a_generators_call_refuses_what_it_cannot_give(run, tmp_path, capsys):
    assert call(capsys, "export", run, "--out", tmp_path / "m.pt")[0] == 0
    with pytest.raises(UsageError, match="a program; if you trust it"):
        load_generator(tmp_path / "m.pt")
    found = load_generator(tmp_path / "m.pt", trust=True)
    for n in (0, -1, True, 1.5):
        with pytest.raises(UsageError, match="give a whole number of samples"):
            found(n)  # pyright: ignore[reportArgumentType]
    with pytest.raises(UsageError, match="labels 'c': this generator has the classes a, b"):
        found(3, labels=["a", "c"])
    with pytest.raises(UsageError, match="labels: none is named"):
        found(3, labels=[])
    with pytest.raises(UsageError, match="has no classes"):
        exported(learned("points"), "safetensors").generator(3, labels="a")


def test_few_samples_of_a_file_are_the_first_of_many():
    found = exported(learned("points of classes"), "safetensors").generator
    many = found(200, seed=2)
    for n in (1, 20, 65):
        assert torch.equal(found(n, seed=2), many[:n])
    assert isinstance(found, Generator)
    assert GeneratorNet  # what a safetensors file is read into


def test_a_model_without_the_page_of_its_card_is_not_left(tmp_path):
    done, out = exported(learned("points"), "safetensors"), tmp_path / "new" / "f.safetensors"
    writing.page_beside(out).mkdir(parents=True)
    with pytest.raises(OSError, match=r"f\.safetensors\.md"):
        writing.write(out, done)
    assert not out.exists()
    assert [path.name for path in out.parent.iterdir()] == ["f.safetensors.md"]


class _Doubled(nn.Module):
    """A parametrization: twice the weight."""

    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 2 * weight


@pytest.mark.parametrize("kind", ["torchscript", pytest.param("onnx", marks=pytest.mark.slow)])
def test_layers_whose_weights_are_made_leave_as_the_weights_and_the_runs_own_stay_as_they_are(kind):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(2, 4), nn.PReLU(4), nn.Linear(4, 2))
    for layer in net:
        parametrize.register_parametrization(layer, "weight", _Doubled())
    experiment = guest(net)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    assert exported(experiment, kind).difference <= 1e-5
    assert exported(experiment, kind).difference <= 1e-5  # again: nothing was taken from the run's own
    assert all(map(parametrize.is_parametrized, net))
    assert all(torch.equal(before[name], tensor) for name, tensor in net.state_dict().items())
    flat = plain(deepcopy(net))
    assert [parametrize.is_parametrized(layer) for layer in flat] == [False, True, False]  # PReLU has no words
    z = torch.randn(5, 2)
    torch.testing.assert_close(flat(z), net(z), rtol=0, atol=0)
