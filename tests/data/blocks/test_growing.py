"""A table that grows while it is read is refused in one line, whatever it holds."""

from __future__ import annotations

import numpy as np
import pytest

from pushforward.data.blocks import lines
from pushforward.data.blocks.scratch import held
from pushforward.errors import DataError


@pytest.mark.parametrize("more", ["5,6\n", "5,a word\n", '5,"6"\n'], ids=["numbers", "words", "quoted"])
def test_a_table_that_grows_while_it_is_read_is_refused(more, tmp_path, monkeypatch):
    path = tmp_path / "x.csv"
    path.write_text("1,2\n3,4\n" * 20)
    counted = lines._lines(path)
    monkeypatch.setattr(lines, "_lines", lambda _: counted)
    found, places = lines.columns(path, ",", 2, 0, held)
    assert len(places) == 40
    np.testing.assert_array_equal(found[1][:2], [2.0, 4.0])
    with path.open("a") as file:
        file.write(more * 30)
    with pytest.raises(DataError, match=r"x\.csv: grew while it was read: .*try again"):
        lines.columns(path, ",", 2, 0, held)
