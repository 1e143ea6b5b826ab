"""Laws of budgets: the least of all limits counts, whoever sets it."""

from __future__ import annotations

import pytest

from pushforward.data.blocks import limits
from pushforward.errors import UsageError


def test_the_least_limit_counts(monkeypatch):
    monkeypatch.delenv(limits.VARIABLE, raising=False)
    for ours, groups, own in ((100, [], []), (900, [100, 300], [800]), (500, [800], [400, 100])):
        monkeypatch.setattr(limits, "_machine", lambda ours=ours: ours)
        monkeypatch.setattr(limits, "_groups", lambda *_, groups=groups: groups)
        monkeypatch.setattr(limits, "_own", lambda own=own: own)
        assert limits.allowed() == 100
        assert limits.budget() == 50
        monkeypatch.setenv("LOCAL_WORLD_SIZE", "5")
        assert limits.budget() == 10
        monkeypatch.delenv("LOCAL_WORLD_SIZE")


@pytest.mark.parametrize("version", [1, 2])
def test_limits_of_control_groups_and_of_those_above_them_are_found(version, tmp_path):
    name, mount = ("memory.limit_in_bytes", tmp_path / "memory") if version == 1 else ("memory.max", tmp_path)
    (mount / "outer" / "inner").mkdir(parents=True)
    (mount / "outer" / name).write_text("3000\n")
    (mount / "outer" / "inner" / name).write_text("max\n" if version == 2 else "9223372036854771712\n")
    line = "0::/outer/inner\n" if version == 2 else "7:cpu,cpuacct:/elsewhere\n4:memory:/outer/inner\n0::/\n"
    (tmp_path / "listed").write_text(line)
    assert min(limits._groups(tmp_path / "listed", tmp_path)) == 3000


def test_within_a_container_the_limit_stands_at_the_root(tmp_path):
    (tmp_path / "memory.max").write_text("5000\n")
    (tmp_path / "listed").write_text("0::/docker/0123456789ab\n")
    assert limits._groups(tmp_path / "listed", tmp_path) == [5000]


def test_without_control_groups_there_is_no_limit(tmp_path):
    assert limits._groups(tmp_path / "none", tmp_path) == []
    (tmp_path / "listed").write_text("4:memory:/a\n0::/b\nnonsense\n")
    assert limits._groups(tmp_path / "listed", tmp_path) == []


def test_a_limit_on_the_process_itself_is_found():
    resource = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        resource.setrlimit(resource.RLIMIT_DATA, (7 << 30, hard))
        assert 7 << 30 in limits._own()
        assert limits.allowed() <= 7 << 30
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, (soft, hard))


@pytest.mark.parametrize(
    ("text", "bytes"),
    [("1000", 1000), ("2K", 2048), ("1.5M", 3 << 19), ("2G", 2 << 30), ("1GiB", 1 << 30), ("3gb", 3 << 30)],
)
def test_the_environment_sets_the_budget(text, bytes, monkeypatch):
    monkeypatch.setenv(limits.VARIABLE, text)
    assert limits.budget() == bytes


@pytest.mark.parametrize("text", ["much", "0", "-1", "2X", "1e9"])
def test_an_environment_that_says_no_number_is_refused(text, monkeypatch):
    monkeypatch.setenv(limits.VARIABLE, text)
    with pytest.raises(UsageError, match=limits.VARIABLE):
        limits.budget()
