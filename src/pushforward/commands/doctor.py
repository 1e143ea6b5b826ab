"""doctor: what this installation has."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from shutil import which
from typing import Any

import numpy as np
import torch

from pushforward import __version__
from pushforward.errors import install

__all__ = ["doctor", "versions"]


def doctor() -> dict[str, Any]:
    """Versions, devices and optional parts of this installation."""
    cuda = (
        [torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count())] if torch.cuda.is_available() else []
    )
    return {
        "versions": versions()
        | {name: _version(name) for name in ("scipy", "scikit-learn", "safetensors", "pillow", "tyro")},
        "system": platform.platform(),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "devices": ["cpu", *cuda, *(["mps"] if torch.backends.mps.is_available() else [])],
        "bf16 on cpu": bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())
        if torch.backends.mkldnn.is_available()
        else False,
        "compile=True": "ready" if which(os.environ.get("CXX", "g++")) else "needs a C++ compiler: install g++",
        "parquet": "ready" if find_spec("pyarrow") else install("pyarrow"),
        "h5ad": "ready" if find_spec("h5py") and find_spec("anndata") else install("h5py anndata"),
        "exact transport of unequal sizes": "ready" if find_spec("ot") else install("POT"),
    }


def versions() -> dict[str, str]:
    return {
        "pushforward": __version__,
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
    }


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "missing"
