"""What a stranger's HDF5 file holds under a name, asked for as what it should be.

h5py tells a thing of another kind, or of a type that NumPy has not, by errors that a mistake of ours would raise too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pushforward.data.raw import brief
from pushforward.errors import DataError

if TYPE_CHECKING:
    import h5py

__all__ = ["as_dataset", "as_group", "attribute", "is_dataset", "is_group"]


def is_group(found: object) -> bool:
    """Whether it holds others by their names."""
    import h5py

    return isinstance(found, h5py.Group)


def is_dataset(found: object) -> bool:
    """Whether it is an array."""
    import h5py

    return isinstance(found, h5py.Dataset)


def as_group(found: object, place: str) -> h5py.Group:
    """The same, as a group.

    Raises:
        DataError: If it is none.
    """
    import h5py

    if not isinstance(found, h5py.Group):
        raise DataError(f"{place}: a {type(found).__name__.lower()} where a group should be: write the file again")
    return found


def as_dataset(found: object, place: str) -> h5py.Dataset:
    """The same, as an array of a type that NumPy has.

    Raises:
        DataError: If it is none, or of another type.
    """
    import h5py

    if not isinstance(found, h5py.Dataset):
        raise DataError(f"{place}: a {type(found).__name__.lower()} where an array should be: write the file again")
    try:
        _ = found.dtype
    except TypeError as error:
        raise DataError(f"{place}: an array of a strange type ({brief(error)}): write the file again") from error
    return found


def attribute(found: Any, name: str, place: str) -> Any:
    """An attribute, text as text, or None where there is none of that name.

    Raises:
        DataError: If it cannot be read.
    """
    try:
        value = found.attrs.get(name)
    except (TypeError, OSError, ValueError, LookupError, RuntimeError) as error:
        raise DataError(f"{place}: its {name!r} cannot be read ({brief(error)}): write the file again") from error
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value
