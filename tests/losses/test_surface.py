"""What the room offers."""

import types

from jaxseq import losses


def test_all_is_sorted_and_complete():
    public = [
        name
        for name, value in vars(losses).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    ]
    assert losses.__all__ == sorted(public)
