"""Whatever goes wrong ends in one line of plain words with an exit code; hostile names and files are no exception."""

from __future__ import annotations

import errno
import os
import struct
from unittest import mock

import numpy as np
import pytest

from pushforward import cli, files
from pushforward.data.source import load
from pushforward.errors import DataError, printable


def ended(error: Exception, capsys) -> tuple[int, str]:
    with mock.patch.object(cli, "_dispatch", side_effect=error), pytest.raises(SystemExit) as left:
        cli.main(["doctor"])
    return left.value.code, capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.EIO, "Input/output error"), "Input/output error"),
        (OSError("unable to synchronously open"), "unable to synchronously open"),
        (MemoryError(), "out of memory"),
        (MemoryError("Unable to allocate 7.45 GiB"), "7.45 GiB"),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried"), "smaller side, batch"),
    ],
)
def test_errors_without_a_name_are_one_line_and_exit_1(error, words, capsys):
    code, said = ended(error, capsys)
    assert code == 1
    assert said.startswith("error: ")
    assert words in said
    assert said.count("\n") == 1


def test_a_message_moves_no_cursor_and_is_bounded(capsys):
    code, said = ended(DataError("a\x1b[2Jb\rc\nd" + "x" * 120_000 + ": remove it"), capsys)
    assert code == 3
    assert said.strip().isprintable()
    assert len(said) < 3000
    assert said.rstrip().endswith(": remove it")


def test_what_can_be_printed_stays_as_it_is():
    assert printable("Größe [bold] 4 \u2192 5") == "Größe [bold] 4 \u2192 5"
    assert printable("\udcff") == "\\udcff"


@pytest.mark.parametrize("shape", [(0, 28, 28), (5, 0, 28), (0, 2**32 - 1, 2**32 - 1, 2**32 - 1)])
def test_idx_files_of_no_numbers_are_refused(shape, tmp_path):
    path = tmp_path / "train-images-idx3-ubyte"
    path.write_bytes(struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape))
    with pytest.raises(DataError, match="no numbers"):
        load(str(path))


@pytest.mark.parametrize("shape", [(2**62,), (0, 2**62), (2**62, 0), (2**31, 2**31, 2**31)])
@pytest.mark.parametrize("dtype", ["<f8", "<U0", "<f4"])
def test_headers_that_declare_more_than_there_can_be_are_refused(shape, dtype, tmp_path):
    with (tmp_path / "x.npy").open("wb") as file:
        header = {"descr": dtype, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
    with pytest.raises(DataError, match=r"x\.npy"):
        load(str(tmp_path / "x.npy"))


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="there are no pipes in this system's folders")
def test_pipes_and_devices_are_refused_before_they_are_opened(tmp_path):
    for ending in (".csv", ".npy", ".npz", ".parquet", ".h5ad"):
        os.mkfifo(tmp_path / f"p{ending}")
        os.symlink("/dev/zero", tmp_path / f"z{ending}")
        for name in ("p", "z"):
            with pytest.raises(DataError, match="pipe or a device"):
                load(str(tmp_path / f"{name}{ending}"))
    os.mkfifo(tmp_path / "run.json")
    with pytest.raises(DataError, match="no plain file"):
        files.read_object(tmp_path / "run.json")
