"""A list in a message leaves nothing out unsaid, and one of a kind is one."""

import pytest

from pushforward.plain.lists import counted, listed


@pytest.mark.parametrize("most", [1, 3, 6])
@pytest.mark.parametrize("count", range(9))
def test_the_names_that_are_shown_and_those_that_are_counted_are_all(count, most):
    names = [f"n{k}" for k in range(count)]
    head, _, tail = listed(names, most).partition(" and ")
    shown = head.split(", ") if head else []
    assert shown == names[: len(shown)]
    assert len(shown) <= most
    assert len(shown) + int(tail.split()[0] if tail else 0) == count


def test_a_thing_and_what_it_does_agree_with_their_number():
    said = [counted(n, "more gene", "hold") for n in (0, 1, 2, 2000)]
    assert said == ["0 more genes hold", "1 more gene holds", "2 more genes hold", "2,000 more genes hold"]
    assert [counted(n, "row") for n in (1, 2)] == ["1 row", "2 rows"]
