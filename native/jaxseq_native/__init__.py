"""CPU kernels for the recurrent networks of jaxseq, called through XLA's FFI.

Importing this package loads the library and registers its two functions with JAX; nothing is
compiled. jaxseq finds it by itself and calls it with ``backend="native"``.
"""

import ctypes
from pathlib import Path

import jax
import numpy as np

__all__ = ["BACKWARD", "FORWARD", "INTERFACE", "isa", "sigmoid", "tanh"]
__version__ = "0.1.0"

INTERFACE = 2
"""What the two functions are passed and write; a jaxseq that needs another leaves them alone."""

FORWARD, BACKWARD = "jaxseq_native_forward", "jaxseq_native_backward"

_library = ctypes.cdll.LoadLibrary(str(next(Path(__file__).parent.glob("libjaxseq_native.*"))))
_library.jaxseq_native_isa.restype = ctypes.c_char_p
for _name, _symbol in ((FORWARD, "JaxseqForward"), (BACKWARD, "JaxseqBackward")):
    jax.ffi.register_ffi_target(
        _name, jax.ffi.pycapsule(getattr(_library, _symbol)), platform="cpu"
    )


def isa() -> str:
    """Returns the instruction set that the kernels use here: avx512, avx2 or portable."""
    return _library.jaxseq_native_isa().decode()


def tanh(x: np.ndarray) -> np.ndarray:
    """Returns the tanh of float32 numbers, as the kernels compute it."""
    return _elementwise(_library.jaxseq_native_tanh, x)


def sigmoid(x: np.ndarray) -> np.ndarray:
    """Returns the logistic function of float32 numbers, as the kernels compute it."""
    return _elementwise(_library.jaxseq_native_sigmoid, x)


def _elementwise(function, x: np.ndarray) -> np.ndarray:
    x = np.ascontiguousarray(x, np.float32)
    y = np.empty_like(x)
    pointer = ctypes.POINTER(ctypes.c_float)
    function(x.ctypes.data_as(pointer), y.ctypes.data_as(pointer), ctypes.c_int64(x.size))
    return y
