"""The package's face: its names are there."""

import pytest

import pushforward


@pytest.mark.parametrize("name", pushforward.__all__)
def test_every_name_of_the_face_is_there(name):
    assert getattr(pushforward, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'flow'"):
        getattr(pushforward, "flow")  # noqa: B009
