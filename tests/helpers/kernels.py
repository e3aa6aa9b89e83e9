"""The CPU kernels, which are left alone in tests that do not ask for them."""

import importlib.util

import jax
import pytest

from jaxseq.sequence import _native

kernels = pytest.mark.skipif(
    importlib.util.find_spec("jaxseq_native") is None,
    reason="jaxseq-native is not installed: `make native` builds it",
)


def forget():
    """Lets go of what was decided, and compiled, with or without the kernels."""
    _native.library.cache_clear()
    jax.clear_caches()
