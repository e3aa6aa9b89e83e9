"""Axis letters and type aliases, defined once for annotations, docstrings and comments.

====== =====================================================================
letter axis
====== =====================================================================
B      batch (``*batch``: any number of batch axes)
T      time
I      input features of a cell
H      hidden units
P      projected hidden units (an LSTM with ``proj_size``)
O      output features of a cell (``H``, or ``P`` where there is a projection)
L      layers
D      directions
G      gates (``GH``: gates times hidden units, one axis of a weight)
K      states, tags, classes
V      vocabulary
====== =====================================================================
"""

from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float, Integer, PRNGKeyArray

Array = jax.Array
ArrayLike = jax.Array | np.ndarray

Key = PRNGKeyArray
PyTree = Any

Activation = Callable[[Array], Array]
"""An elementwise function of an array."""

Inputs = Float[ArrayLike, "*batch T I"]
Outputs = Float[Array, "*batch T O"]
Lengths = Integer[ArrayLike, "*batch"]
Resets = Bool[ArrayLike, "*batch T"]
