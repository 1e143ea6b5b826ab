"""Commands as tests give them: in this process, or in one of their own that may be killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from pushforward import cli
from pushforward.training import checkpoint

HERE = Path(__file__).parent


def call(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    """Run a command in this process; exit code, standard output, standard error."""
    capsys.readouterr()
    with pytest.raises(SystemExit) as stop:
        cli.main([str(word) for word in words])
    out, err = capsys.readouterr()
    return int(stop.value.code or 0), out, err


def trained(run: Path, recipe: str, *words: object) -> Path:
    """A finished run, trained in this process from the folder where the guests live."""
    line = ["train", recipe, *words, "--run", run]
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(HERE)
        with pytest.raises(SystemExit) as stop:
            cli.main([str(word) for word in line])
    assert not stop.value.code
    return run


def begin(*words: object, folder: Path = HERE) -> subprocess.Popen[bytes]:
    """Start a command in a process of its own, in the folder where the guests live."""
    line = [sys.executable, "-m", "pushforward.cli", *map(str, words)]
    source = str(Path(cli.__file__).parents[1])
    return subprocess.Popen(
        line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, cwd=folder,
        env=os.environ | {"NO_COLOR": "1", "PYTHONPATH": source},
    )  # fmt: skip


def finish(process: subprocess.Popen[bytes], code: int = 0) -> str:
    """Wait for a command and hold its exit code against the one expected; what it said on standard error."""
    _, errors = process.communicate(timeout=240)
    assert process.returncode == code, errors.decode()
    return errors.decode()


def kill_after(process: subprocess.Popen[bytes], run: Path, step: int) -> int:
    """SIGKILL a training once its log has a line at or beyond a step; the step that its last checkpoint is at."""
    log = run / "log.jsonl"
    while process.poll() is None:
        lines = log.read_text().splitlines() if log.exists() else []
        if any(json.loads(line)["step"] >= step for line in lines if line.endswith("}")):
            break
        time.sleep(0.002)
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL, "the training ended before it could be killed"
    return final(run)[1]["step"]


def final(run: Path) -> tuple[dict[str, torch.Tensor], dict]:
    """Tensors and description of the last checkpoint."""
    checkpoint.repair(run / "checkpoints" / "last")
    saved = checkpoint.load(run / "checkpoints" / "last", resume=False)
    return saved.weights, saved.run


def same(one: Path, other: Path) -> bool:
    """Whether two runs ended with the same tensors, to the last bit."""
    mine, theirs = final(one)[0], final(other)[0]
    return mine.keys() == theirs.keys() and all(torch.equal(mine[name], theirs[name]) for name in mine)
