"""The package's face: its names are there, and nothing heavy is loaded before one of them is touched."""

import subprocess
import sys

import pytest

import pushforward


def test_importing_the_package_loads_neither_torch_nor_numpy_and_touching_a_name_does():
    code = (
        "import sys, pushforward\n"
        "assert not {'torch', 'numpy', 'scipy', 'sklearn', 'PIL'} & sys.modules.keys()\n"
        "pushforward.ParticleFlow\n"
        "assert 'torch' in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", pushforward.__all__)
def test_every_name_of_the_face_is_there(name):
    assert getattr(pushforward, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'flow'"):
        getattr(pushforward, "flow")  # noqa: B009
