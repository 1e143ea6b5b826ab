"""Feature networks of your own: a weight file of a known network, a TorchScript file, or an object of a module."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor, nn

from pushforward import guests
from pushforward.errors import DataError, UsageError
from pushforward.metrics.core.features import Features, fingerprint
from pushforward.metrics.networks.cifar import cifar_resnet
from pushforward.metrics.networks.digits8 import SHA256, digits8, of_weights
from pushforward.metrics.networks.inception import SHA256_PREFIX, inception, is_true_inception
from pushforward.metrics.networks.lenet import lenet
from pushforward.metrics.networks.weights import read

__all__ = ["load_network"]

_SCRIPTS = (".pt", ".ts", ".torchscript")
_KINDS = "a .safetensors file of digits8, lenet or cifar_resnet, a TorchScript file (.pt), or package.module:NAME"


def load_network(
    source: str | Path,
    *,
    event: tuple[int, ...] | None = None,
    trust: bool = False,
    device: torch.device | str = "cpu",
) -> Features:
    """A feature space from a file or from an object of a module of yours.

    - `.safetensors`: weights of `digits8`, `lenet` or `cifar_resnet`, which the file's header names. No code runs.
    - `.pth` with the hash of the published Inception weights: `inception`. No code runs.
    - `.pt`, `.ts`, `.torchscript`: TorchScript, (n, *event) -> (n, dim). Such a file is a program: it needs `trust`.
    - `package.module:NAME`: a Features, a torch module, or a function (n, *event) -> (n, dim). The import runs the
      module: it needs `trust`.

    The identity bears the SHA-256 of the file; for an object, that of the module's source file, with the weights of a
    torch module added. Networks of your own get images as they are, in float32 and model units, [-1, 1].

    Args:
        source: A path, or package.module:NAME.
        event: Shape of a sample; if given, a batch of two zeros is sent through and the number of features becomes
            part of the feature space.
        trust: Whether code that the source holds may run.
        device: Where the network runs.

    Raises:
        UsageError: If code would have to run and `trust` is False, or the object cannot be imported.
        DataError: If the file is missing, is of no known kind, or the network does not answer with (n, dim).
    """
    path = Path(source)
    if ":" in str(source) and not path.exists():
        found = _imported(str(source), trust, device)
    elif path.suffix == ".safetensors":
        found = _known(path, device)
    elif path.suffix == ".pth":
        found = _published(path, device)
    elif path.suffix in _SCRIPTS:
        found = _script(path, trust, device)
    else:
        raise DataError(f"{source}: no feature network ends in {path.suffix or 'nothing'!r}; give {_KINDS}")
    return found if event is None else _probed(found, event)


def _known(path: Path, device: torch.device | str) -> Features:
    content, digest = read(path)
    if digest == SHA256:  # the file of the package, older than the name in the header
        return digits8(path, device=device)
    try:
        with safe_open(path, "pt") as file:
            header = file.metadata() or {}
    except SafetensorError as error:
        raise DataError(f"{path} is no safetensors file ({error}): give {_KINDS}") from error
    # scripts/train_digits8.py once wrote how it had trained and not what: whether it fits, its tensors say
    said = header.get("pushforward", "digits8" if header.keys() == {"recipe"} else "")
    match said.partition(";")[0]:
        case "digits8":
            return of_weights((content, digest), path, device)
        case "lenet":
            return lenet(path, device=device)
        case "cifar_resnet":
            return cifar_resnet(path, device=device)
        case other:
            wanted = 'wanted metadata {"pushforward": "digits8"}, "lenet" or "cifar_resnet"; write it with our script'
            raise DataError(f"{path} names the network {other!r} in its header, {wanted}")


def _published(path: Path, device: torch.device | str) -> Features:
    if not read(path)[1].startswith(SHA256_PREFIX):
        raise DataError(
            f"{path} is a pickle, which is never loaded: save the network with torch.jit.script(net).save(PATH)"
        )
    return inception(path, device=device)


def _script(path: Path, trust: bool, device: torch.device | str) -> Features:
    content, digest = read(path)
    if not trust:
        raise UsageError(f"{path} is a TorchScript file, a program; if you trust it, add --trust {path} (trust=True)")
    try:
        network = torch.jit.load(io.BytesIO(content), map_location=device)
    except (RuntimeError, ValueError) as error:
        said = str(error).strip().splitlines()[0]
        raise DataError(f"{path} is no TorchScript file ({said}): give {_KINDS}") from error
    network.eval()
    # A prefix, so that no name of a file makes it look like a network of ours.
    return Features(f"torchscript-{path.stem}", digest, None, _rows(network, path, device))


def _imported(name: str, trust: bool, device: torch.device | str) -> Features:
    guests.admit(name, (name,) if trust else (), "features")
    found = guests.load(name, "features")
    if isinstance(found, Features):
        if found.name == "inception" and not is_true_inception(found):
            raise UsageError(f"{name} calls itself inception and is not the published network: give it another name")
        return found
    if isinstance(found, type) or not callable(found):
        raise guests.refused(name, "features", found, "a Features, a torch module or a function")
    source = guests.source_of(name)
    if source is None:
        raise UsageError(f"features {name!r}: its module has no source file to take an identity from; give your own")
    digest = hashlib.sha256(source.read_bytes())
    if isinstance(found, nn.Module):
        digest.update(fingerprint(found.state_dict()).encode())
        found = found.to(device).eval()
    return Features(name.replace(":", "."), digest.hexdigest(), None, _rows(found, name, device))


def _rows(network: Callable[[Tensor], object], place: object, device: torch.device | str) -> Callable[[Tensor], Tensor]:
    """The network behind a check that it answers with one row a sample."""

    def function(x: Tensor) -> Tensor:
        values = network(x.to(device, torch.float32))
        if not isinstance(values, Tensor) or values.ndim != 2 or len(values) != len(x):
            got = tuple(values.shape) if isinstance(values, Tensor) else type(values).__name__
            raise DataError(
                f"{place} answered {tuple(x.shape)} with {got}, wanted ({len(x)}, dim): return features as rows"
            )
        return values

    return function


def _probed(features: Features, event: tuple[int, ...]) -> Features:
    try:
        dim = features(torch.zeros(2, *event)).shape[1]
    except DataError:
        raise  # it names the space and what it gave
    except Exception as error:
        said = str(error).strip().splitlines()[-1]
        raise DataError(f"{features.id} fails on samples of shape {event} ({said}): check what it takes") from error
    return Features(features.name, features.sha, dim, features.function, features.classify)
