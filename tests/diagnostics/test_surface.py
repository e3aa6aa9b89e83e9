"""What the room offers."""

import types

from jaxseq import diagnostics


def test_all_is_sorted_and_complete():
    public = [
        name
        for name, value in vars(diagnostics).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    ]
    assert diagnostics.__all__ == sorted(public)
