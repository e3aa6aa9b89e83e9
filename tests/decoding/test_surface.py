"""What the room offers."""

import types

from jaxseq import decoding


def test_all_is_sorted_and_complete():
    public = [
        name
        for name, value in vars(decoding).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    ]
    assert decoding.__all__ == sorted(public)
