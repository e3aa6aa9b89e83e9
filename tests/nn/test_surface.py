"""What the room offers."""

import types

from jaxseq import nn


def test_all_is_sorted_and_complete():
    public = [
        name
        for name, value in vars(nn).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    ]
    assert nn.__all__ == sorted(public)
