"""No malformed file gives a traceback, hangs, or is changed: a reader takes it, or refuses it in one line."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

READ = """
import sys, pathlib, warnings
sys.path.insert(0, sys.argv[1])
warnings.simplefilter("ignore")
from malformed import malformed
from pushforward.data.source import load
from pushforward.errors import DataError, UsageError
from pushforward.merging import files

def merged(path):
    return files.read(path, "batch")

folder, wrong = pathlib.Path(sys.argv[2]), 0
for kind, path in malformed(folder, int(sys.argv[3])):
    before = path.read_bytes()
    for read in (load, merged):
        print(kind, path, read.__name__, flush=True)
        try:
            read(str(path))
        except (DataError, UsageError) as error:
            assert "\\n" not in str(error), error
        except Exception as error:
            wrong += 1
            print("WRONG", kind, path, read.__name__, repr(error)[:300], flush=True)
    assert path.read_bytes() == before
sys.exit(bool(wrong))
"""


@pytest.mark.slow
def test_five_hundred_malformed_files_are_read_or_refused_in_one_line(tmp_path):
    words = [sys.executable, "-c", READ, str(Path(__file__).parent), str(tmp_path), "500"]
    done = subprocess.run(words, capture_output=True, text=True, timeout=600, check=False)
    wrong = [line for line in done.stdout.splitlines() if line.startswith("WRONG")]
    assert done.returncode == 0, "\n".join(wrong or [*done.stdout.splitlines()[-1:], done.stderr[-2000:]])
