import types

from jaxseq import training


def test_the_public_names_are_sorted_and_complete():
    public = {
        name
        for name, value in vars(training).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert training.__all__ == sorted(public)
