"""No malformed input gives a traceback, hangs, or loses a file: each is read, or refused in one line, by everything.

The inputs go through other processes, two of them side by side, each from the input at which the last one ended: one
that hangs is ended after a minute, and one that crashes is found by the call that it never came back from.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.malformed import through

COUNT, WORKERS, LONGEST = 540, 2, 60  # inputs, processes, seconds of a call
HOME = Path(__file__).parents[1]


def called(folder: Path) -> list[dict[str, Any]]:
    """All calls of all inputs; those that never came back are marked so."""
    begun = dict[int, subprocess.Popen[bytes]]()
    logs = [folder / f"done-{k}.jsonl" for k in range(WORKERS)]
    left = set(range(WORKERS))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(HOME), *sys.path]), "OMP_NUM_THREADS": "1"}
    while left:
        for k in sorted(left):
            if k not in begun:
                words = [sys.executable, "-m", "tests.malformed.through", str(folder), str(k), str(WORKERS)]
                logs[k].touch()
                begun[k] = subprocess.Popen(words, cwd=folder, env=environment, stdin=subprocess.DEVNULL)
            elif (code := begun[k].poll()) == 0:
                left.discard(k)
            elif code is not None:
                begun.pop(k)
            elif time.time() - logs[k].stat().st_mtime > LONGEST:
                begun[k].kill()
        time.sleep(0.2)
    lines = [json.loads(line) for log in logs for line in log.read_text().splitlines()]
    ended = {(line["input"], line["call"]): line for line in lines if "begun" not in line}
    return [ended.get((line["input"], line["call"]), line) for line in lines if "begun" in line]


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="pipes and links")
def test_malformed_inputs_by_the_hundred_go_through_every_loader_and_command(tmp_path, record_property):
    count = through.prepare(tmp_path, COUNT)
    found = json.loads((tmp_path / "inputs.json").read_text())
    lines = called(tmp_path)
    inputs = {line["input"] for line in lines}
    assert len(inputs) == count >= 500
    codes = Counter(line.get("code") for line in lines)
    record_property("calls", len(lines))
    print(
        f"{count} inputs of {len({kind for _, kind, _ in found})} kinds, {len(lines)} calls, exit codes {dict(codes)}"
    )
    hung = [(line["call"], *found[line["input"]]) for line in lines if "begun" in line]
    wrong = [(line["call"], line["path"], line["wrong"]) for line in lines if line.get("wrong")]
    lost = [(line["call"], line["path"], line["lost"]) for line in lines if line.get("lost")]
    assert not hung, hung
    assert not wrong, "\n".join(map(str, wrong[:20]))
    assert not lost, lost
    assert not list(tmp_path.rglob("executed"))
    assert {0, 2, 3} <= codes.keys()  # some are read, most are refused
