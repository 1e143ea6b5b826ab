"""A list in a message leaves nothing out unsaid."""

import pytest

from pushforward.plain.lists import listed


@pytest.mark.parametrize("most", [1, 3, 6])
@pytest.mark.parametrize("count", range(9))
def test_the_names_that_are_shown_and_those_that_are_counted_are_all(count, most):
    names = [f"n{k}" for k in range(count)]
    head, _, tail = listed(names, most).partition(" and ")
    shown = head.split(", ") if head else []
    assert shown == names[: len(shown)]
    assert len(shown) <= most
    assert len(shown) + int(tail.split()[0] if tail else 0) == count
