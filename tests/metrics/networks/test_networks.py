"""Trained feature networks: their seals, what they know, what they do to images, and how a user's own are loaded."""

import io
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import nn

from pushforward.errors import DataError, UsageError
from pushforward.metrics import digits8, frechet, moments
from pushforward.metrics.core.features import blocked
from pushforward.metrics.networks.cifar import SHA256 as CIFAR_SHA256
from pushforward.metrics.networks.cifar import CifarResNet, cifar_resnet, to_32x32
from pushforward.metrics.networks.digits8 import WEIGHTS, Digits8
from pushforward.metrics.networks.lenet import (
    FASHION_SHA256,
    MNIST_SHA256,
    LeNet,
    fashion_lenet,
    lenet,
    mnist_lenet,
    to_28x28,
)
from pushforward.metrics.networks.loading import load_network
from pushforward.metrics.networks.weights import read, settle, write

# Real data, where a checkout has a folder of it at its side.
DATA = Path(os.environ.get("PUSHFORWARD_DATA", Path(__file__).parents[4] / "shared" / "data"))
FOLDER = WEIGHTS.parent
SHIPPED = {
    "mnist_lenet": (mnist_lenet, MNIST_SHA256, 0.6e6),
    "fashion_lenet": (fashion_lenet, FASHION_SHA256, 0.6e6),
    "cifar_resnet": (cifar_resnet, CIFAR_SHA256, 5e6),
}
NETWORKS = {"digits8": (Digits8, (1, 8, 8)), "lenet": (LeNet, (1, 28, 28)), "cifar_resnet": (CifarResNet, (3, 32, 32))}
shipped = pytest.mark.parametrize(("name", "space", "sha", "size"), [(k, *v) for k, v in SHIPPED.items()], ids=SHIPPED)


def images(n, channels, side, seed=0):
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def held_out(name, n):
    """n test images in model units and their labels, in random order: MNIST's halves were written by unlike hands."""
    path = DATA / name
    if not path.is_file():
        pytest.skip(f"{name} is not there: set PUSHFORWARD_DATA to its folder")
    with np.load(path) as file:
        rows = np.random.default_rng(0).permutation(len(file["y_test"]))[:n]
        labels = torch.from_numpy(file["y_test"][rows].astype(int))
        if "x_test" in file:
            x = file["x_test"][rows][:, None]
        else:
            header, content, ends = bytes(file["header"]), file["test_data"].tobytes(), file["test_offsets"]
            parts = [io.BytesIO(header + content[ends[i] : ends[i + 1]]) for i in rows]
            x = np.stack([np.asarray(Image.open(part).convert("RGB")) for part in parts]).transpose(0, 3, 1, 2)
    return torch.from_numpy(x).float() / 127.5 - 1, labels


def right(space, x, labels):
    return float((blocked(space.classify, x).argmax(1) == labels).double().mean())


@shipped
def test_shipped_weights_are_the_sealed_ones_and_small(name, space, sha, size):
    path = FOLDER / f"{name}.safetensors"
    assert read(path)[1] == sha
    assert path.stat().st_size < size
    assert space().id == f"{name}-{sha[:8]}"


def test_changed_weights_are_refused(tmp_path):
    content = bytearray((FOLDER / "mnist_lenet.safetensors").read_bytes())
    content[-1] ^= 1
    (tmp_path / "changed.safetensors").write_bytes(content)
    with pytest.raises(DataError, match=rf"SHA-256 .*wanted {MNIST_SHA256[:8]}.*reinstall"):
        read(tmp_path / "changed.safetensors", MNIST_SHA256)
    with pytest.raises(DataError, match=r"missing.*script"):
        lenet(tmp_path / "none.safetensors")


@shipped
@pytest.mark.parametrize("shape", [(1, 28), (3, 32), (1, 64), (3, 20)], ids=str)
def test_features_are_finite_repeatable_and_independent_of_blocks(name, space, sha, size, shape):
    x = images(7, *shape)
    values = space()(x)
    assert values.shape == (7, 128)
    assert values.equal(space()(x))
    torch.testing.assert_close(space()(x, block=2), values, rtol=1e-4, atol=1e-4)
    assert blocked(space().classify, x).shape == (7, 10)


def test_unlike_networks_have_unlike_identities():
    ids = {space().id for space in (digits8, mnist_lenet, fashion_lenet, cifar_resnet)}
    assert len(ids) == 4


@pytest.mark.parametrize(
    ("space", "file", "n", "least"),
    [
        (mnist_lenet, "mnist.npz", 2000, 0.985),
        (fashion_lenet, "fashion_mnist_25k.npz", 2000, 0.88),
        (cifar_resnet, "cifar10_jpeg75.npz", 1000, 0.75),
    ],
    ids=["mnist", "fashion", "cifar"],
)
def test_network_names_held_out_images_and_its_features_vary_by_about_one(space, file, n, least):
    x, labels = held_out(file, n)
    assert right(space(), x, labels) > least
    spread = space()(x[: n // 4]).std(0)
    assert float(spread.min()) > 0.5
    assert float(spread.max()) < 2


def test_distance_to_held_out_digits_grows_with_noise_and_with_missing_classes():
    x, labels = held_out("mnist.npz", 3000)
    (q, p), y, noise = x.split(1500), labels[:1500], images(1500, 1, 28)
    space = mnist_lenet()
    real, fake = moments(space(p)), space(q)
    noisy = [fake, *(space((q + scale * noise).clamp(-1, 1)) for scale in (0.3, 1.0))]
    missing = [fake[y < classes] for classes in (10, 8, 5)]
    for ladder in (noisy, missing):
        found = [frechet(moments(values), real) for values in ladder]
        assert found == sorted(found)
        assert found[2] > 5 * found[0]


def test_padding_is_cropped_and_equal_channels_are_averaged():
    x = images(3, 1, 28)
    padded = nn.functional.pad(x, (2, 2, 2, 2), value=-1.0)
    assert to_28x28(x).equal(x)
    assert to_28x28(padded).equal(x)
    torch.testing.assert_close(to_28x28(padded.expand(-1, 3, -1, -1)), x)
    torch.testing.assert_close(to_32x32(images(3, 1, 32)), images(3, 1, 32).expand(-1, 3, -1, -1))


@pytest.mark.parametrize(("resize", "side"), [(to_28x28, 28), (to_32x32, 32)], ids=["28", "32"])
def test_other_sides_are_resized_without_moving_the_picture_or_its_mean(resize, side):
    ramp = torch.linspace(-1, 1, 2 * side).expand(1, 3, 2 * side, 2 * side)
    small = resize(ramp)
    assert small.shape[2:] == (side, side)
    torch.testing.assert_close(small, -small.flip(3), rtol=0, atol=1e-5)
    inner = ramp[..., 0, :].reshape(1, 3, side, 2).mean(3)[0, 0, 2:-2]
    torch.testing.assert_close(small[0, 0, 5, 2:-2], inner, rtol=0, atol=1e-5)
    stripes = torch.tensor([-1.0, 1, -1]).repeat(side).expand(1, 3, 3 * side, 3 * side)
    centre = resize(stripes)[0, 0, 5, 2:-2]  # every third pixel alone would make it 1, the mean of each cell is -1/3
    torch.testing.assert_close(centre, torch.full_like(centre, -1 / 3), rtol=0, atol=0.12)


@shipped
def test_images_in_other_units_or_shapes_are_refused(name, space, sha, size):
    with pytest.raises(DataError, match=r"values in \[0, 255\].*\[-1, 1\]"):
        space()(torch.tensor([0.0, 255.0]).repeat(32).reshape(1, 1, 8, 8))
    for shape in ((4, 2, 8, 8), (4, 1, 8, 16), (4, 64)):
        with pytest.raises(DataError, match="square images"):
            space()(torch.zeros(shape))


def trained(kind, path, words=None):
    """A fresh network of a kind, its features settled on noise, in a file."""
    network, shape = NETWORKS[kind]
    network = network()
    if hasattr(network, "spread"):
        settle(network, network.activations, network.spread, images(40, *shape[:2], seed=3))
    network.eval()
    write(network, path, words or f"{kind}; not trained")
    return network, images(5, *shape[:2])


@pytest.mark.parametrize("kind", NETWORKS)
def test_own_weights_give_the_features_of_the_network_that_was_written(kind, tmp_path):
    path = tmp_path / "mine.safetensors"
    network, x = trained(kind, path)
    if kind == "digits8":
        network.load_state_dict({name: value.half() for name, value in network.state_dict().items()})
    space = load_network(path, event=tuple(x.shape[1:]))
    with torch.no_grad():
        torch.testing.assert_close(space(x), network.features(x).double(), rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(blocked(space.classify, x), network(x).double(), rtol=1e-4, atol=1e-5)
    assert space.id == f"{kind}-{read(path)[1][:8]}"
    assert load_network(path).dim == network.head.in_features


@pytest.mark.parametrize("kind", ["lenet", "cifar_resnet"])
def test_settled_features_have_unit_spread_on_the_images_they_were_settled_on(kind, tmp_path):
    network, _ = trained(kind, tmp_path / "mine.safetensors")
    x = images(40, *NETWORKS[kind][1][:2], seed=3)
    with torch.no_grad():
        spread, raw = network.features(x).std(0), network.activations(x).std(0)
    usual = raw > 0.1 * raw.median() * 1.01
    torch.testing.assert_close(spread[usual], torch.ones(int(usual.sum())), rtol=2e-3, atol=0)
    assert float(spread.max()) < 1.002
    assert float(network.spread.min()) > 0.099 * float(raw.median())


def test_copy_of_a_shipped_file_keeps_its_identity(tmp_path):
    for name, (space, *_) in SHIPPED.items():
        shutil.copy(FOLDER / f"{name}.safetensors", tmp_path / "copy.safetensors")
        assert load_network(tmp_path / "copy.safetensors").id == space().id
    shutil.copy(WEIGHTS, tmp_path / "copy.safetensors")
    assert load_network(tmp_path / "copy.safetensors").id == digits8().id


def test_weight_files_of_no_known_network_are_refused(tmp_path):
    path = tmp_path / "other.safetensors"
    save_file({"a": torch.zeros(2)}, path)
    with pytest.raises(DataError, match=r"names the network ''.*digits8.*lenet.*cifar_resnet"):
        load_network(path)
    save_file({"a": torch.zeros(2)}, path, metadata={"pushforward": "lenet; mine"})
    with pytest.raises(DataError, match="no weight file of LeNet"):
        load_network(path)
    path.write_bytes(b"nothing of the kind")
    with pytest.raises(DataError, match="no safetensors file"):
        load_network(path)
    (tmp_path / "network.pth").write_bytes(b"pickle")
    with pytest.raises(DataError, match="a pickle, which is never loaded"):
        load_network(tmp_path / "network.pth")
    with pytest.raises(DataError, match=r"ends in '\.h5'.*\.safetensors"):
        load_network(tmp_path / "network.h5")


torchscript = pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")


@pytest.fixture
def script(tmp_path):
    """A TorchScript file of a linear map from 3 numbers to 2, and the map."""
    network = nn.Linear(3, 2)
    path = tmp_path / "inception.pt"
    torch.jit.trace(network, torch.zeros(1, 3)).save(str(path))
    return path, network


@torchscript
def test_a_torchscript_file_runs_only_when_trusted(script, monkeypatch):
    path, network = script
    monkeypatch.setattr(torch.jit, "load", lambda *_, **__: pytest.fail("the file was opened"))
    with pytest.raises(UsageError, match=rf"--trust {path}"):
        load_network(path, event=(3,))
    monkeypatch.undo()
    space = load_network(path, event=(3,), trust=True)
    x = torch.randn(6, 3)
    torch.testing.assert_close(space(x), network(x).detach().double(), rtol=1e-6, atol=1e-6)
    assert space.dim == 2
    assert space.id == f"torchscript-inception-{read(path)[1][:8]}"  # and never plainly "inception"


@torchscript
def test_a_network_that_does_not_fit_the_samples_is_refused_at_loading(script, tmp_path):
    with pytest.raises(DataError, match=r"fails on samples of shape \(4,\)"):
        load_network(script[0], event=(4,), trust=True)
    with pytest.raises(DataError, match=r"answered \(2, 5, 3\) with \(2, 5, 2\), wanted \(2, dim\)"):
        load_network(script[0], event=(5, 3), trust=True)
    (tmp_path / "broken.pt").write_bytes(b"no archive")
    with pytest.raises(DataError, match="no TorchScript file"):
        load_network(tmp_path / "broken.pt", trust=True)


MINE = """
import torch
from pushforward.metrics.core.features import Features

def double(x):
    return 2 * x.flatten(1)

torch.manual_seed(5)
NET = torch.nn.Linear(3, 2)
SPACE = Features("mine", "ab" * 32, 3, double)
FALSE = Features("inception", "ab" * 32, 3, double)
NUMBER = 3
"""


@pytest.fixture
def module(tmp_path, monkeypatch):
    (tmp_path / "a_users_features.py").write_text(MINE)
    monkeypatch.syspath_prepend(str(tmp_path))
    yield "a_users_features"
    sys.modules.pop("a_users_features", None)


def test_a_module_is_imported_only_when_trusted(module):
    with pytest.raises(UsageError, match=rf"--trust {module}:double"):
        load_network(f"{module}:double")
    assert module not in sys.modules
    x = torch.randn(4, 3)
    double = load_network(f"{module}:double", event=(3,), trust=True)
    torch.testing.assert_close(double(x), 2 * x.double())
    assert double.dim == 3
    digest = read(Path(sys.modules[module].__file__))[1]
    assert double.id == f"{module}.double-{digest[:8]}"
    linear = load_network(f"{module}:NET", trust=True)
    assert linear(x).shape == (4, 2)
    assert linear.sha != double.sha
    assert load_network(f"{module}:SPACE", trust=True).id == "mine-abababab"


def test_objects_that_are_no_feature_space_are_refused(module):
    with pytest.raises(UsageError, match="is a int"):
        load_network(f"{module}:NUMBER", trust=True)
    with pytest.raises(UsageError, match="calls itself inception"):
        load_network(f"{module}:FALSE", trust=True)
    for name in (f"{module}:NOTHING", "nowhere_at_all:x"):
        with pytest.raises(UsageError, match=r"expected package\.module:NAME"):
            load_network(name, trust=True)
    with pytest.raises(UsageError, match="no source file"):
        load_network("sys:intern", trust=True)
