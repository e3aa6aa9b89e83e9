"""The public names of the room, and what it may import."""

import subprocess
import sys
import types

import jaxseq.data


def test_the_public_names_are_sorted_and_documented():
    public = jaxseq.data.__all__
    assert list(public) == sorted(public)
    assert all(">>>" in getattr(jaxseq.data, name).__doc__ for name in public)
    visible = {
        name
        for name, value in vars(jaxseq.data).items()
        if not name.startswith("_") and not isinstance(value, types.ModuleType)
    }
    assert visible == set(public)


def test_the_room_needs_numpy_only():
    code = "import sys, types; sys.modules['jaxseq'] = m = types.ModuleType('jaxseq'); "
    code += f"m.__path__ = {list(jaxseq.__path__)!r}; import jaxseq.data; "
    code += "print(sorted({'jax', 'flax', 'optax', 'orbax'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
