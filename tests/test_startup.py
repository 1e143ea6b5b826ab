"""What starts at once: the package without torch, and the help of the command line."""

import os
import resource
import subprocess
import sys
from pathlib import Path

import pytest

SOURCES = {"PYTHONPATH": str(Path(__file__).parents[1] / "src")}


def python(*words):
    return subprocess.run(
        [sys.executable, *words], env=os.environ | SOURCES, capture_output=True, text=True, check=True
    )


def test_the_package_loads_torch_only_when_a_name_is_touched():
    says = "print(*sorted({'torch', 'numpy', 'scipy', 'sklearn', 'PIL'} & set(sys.modules)))"
    words = f"import sys, pushforward; pushforward.__version__; {says}; pushforward.ParticleFlow; {says}"
    before, after = python("-c", words).stdout.split("\n")[:2]
    assert before == ""
    assert {"torch", "numpy"} <= set(after.split())


def test_help_does_not_load_what_computes():
    words = "import sys\nfrom pushforward.cli import main\ntry: main(['--help'])\nexcept SystemExit: pass\n"
    words += "print(*{'torch', 'numpy', 'scipy', 'sklearn', 'rich', 'matplotlib'} & set(sys.modules), file=sys.stderr)"
    assert python("-c", words).stderr.split() == []


@pytest.mark.skipif(sys.platform == "win32", reason="no resource usage of children")
def test_help_takes_less_than_half_a_second_of_processor_time():
    def spent():
        usage = resource.getrusage(resource.RUSAGE_CHILDREN)
        return usage.ru_utime + usage.ru_stime

    times = []
    for _ in range(4):  # the least of them: a busy machine makes the same work dearer
        before = spent()
        assert "train" in python("-m", "pushforward.cli", "--help").stdout
        times.append(spent() - before)
    assert min(times) < 0.5
