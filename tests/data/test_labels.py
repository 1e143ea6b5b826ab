"""Laws of class numbers: sorted, dense, and undone by the names."""

import numpy as np
import pytest

from pushforward.data.labels import coded, coded_among, named, numbered
from pushforward.errors import DataError
from pushforward.estimators.classes import coded_like, codes
from pushforward.metrics.integration.mixing import codes as counted

LABELS = [np.array(["b", "a", "b", "c"]), np.array([7, -2, 7, 30]), np.array([True, False, True, True])]


@pytest.mark.parametrize("labels", LABELS, ids=["text", "whole", "truth"])
def test_numbers_are_undone_by_the_classes_which_are_sorted(labels):
    classes, numbers = coded(labels)
    assert numbers.dtype == np.int64
    np.testing.assert_array_equal(classes[numbers], labels)
    assert classes.tolist() == sorted(classes.tolist())
    assert sorted(set(numbers.tolist())) == list(range(len(classes)))


@pytest.mark.parametrize("labels", LABELS, ids=["text", "whole", "truth"])
def test_known_classes_may_stand_in_any_order(labels):
    classes, _ = coded(labels)
    for order in (classes, classes[::-1], np.roll(classes, 1)):
        np.testing.assert_array_equal(order[coded_among(labels, order)], labels)


def test_what_is_no_class_is_numbered_minus_one():
    assert coded_among(np.array(["a", "x", "b"]), np.array(["b", "a"])).tolist() == [1, -1, 0]


def test_training_estimators_and_metrics_number_the_same_classes_alike():
    labels = np.array(["t", "b", "t", "nk", "b", "t", "t", "b"])
    expected = coded(labels)[1].tolist()
    assert numbered(labels, labels, len(labels), "x")[0].tolist() == expected
    assert numbered(labels, labels, len(labels), "x")[2] == ("b", "nk", "t")
    assert codes(labels, len(labels), "y")[1].tolist() == expected
    assert coded_like(labels, np.unique(labels), len(labels), "y").tolist() == expected
    assert counted(labels)[0].tolist() == expected
    assert named(labels, ("b", "nk", "t"), "x").tolist() == expected


def test_names_of_numbers_need_not_be_sorted_as_text():
    assert named(np.array([10, 9, 10]), ("9", "10"), "x").tolist() == [1, 0, 1]


def test_a_label_that_is_none_of_the_classes_is_named():
    with pytest.raises(DataError, match="the label z is none of the classes: use a, b"):
        named(np.array(["a", "z"]), ("a", "b"), "x")
    with pytest.raises(DataError, match="class 'z' is unknown: fit saw 'a', 'b'"):
        coded_like(["a", "z"], np.array(["a", "b"]), 2, "y")
