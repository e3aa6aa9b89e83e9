"""Gradient clipping over a norm that is computed once, in float32 or better, and reported."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Float

from jaxseq._checks import error
from jaxseq._types import Array, PyTree
from jaxseq.training._promotion import standard_promotion


class Clipped(NamedTuple):
    """Gradients after clipping, and both norms.

    Attributes:
      grads: the gradients, each leaf in the dtype that it had.
      norm: the global norm before.
      clipped_norm: the global norm after.

    Example:
      >>> import jax.numpy as jnp
      >>> from jaxseq.training import clip_by_global_norm
      >>> clip_by_global_norm({"w": jnp.array([3.0, 4.0])}, None).grads["w"].tolist()
      [3.0, 4.0]
    """

    grads: PyTree
    norm: Float[Array, ""]
    clipped_norm: Float[Array, ""]


def check_max_norm(where: str, max_norm: float | None) -> None:
    """Raises unless ``max_norm`` is None or positive.

    Raises:
      ValueError: if it is not; a norm of 0 would divide 0 by 0.

    Example:
      >>> check_max_norm("f", 1.0)
    """
    if max_norm is not None and not max_norm > 0:
        raise error(
            where,
            f"`max_norm` must be positive, but it is {max_norm}",
            hint="max_norm=None clips nothing",
        )


def clip_by_global_norm(grads: PyTree, max_norm: float | None) -> Clipped:
    r"""Scales gradients down to a global norm.

    .. math:: g \leftarrow g \cdot \min\left(1, \frac{c}{\lVert g \rVert_2}\right)

    The norm is one over all leaves together. It is taken in float32 (float64 for float64 leaves):
    in bfloat16 a sum of squares stops growing after a few hundred terms, in float16 it overflows.

    Args:
      grads: any tree of floating-point arrays.
      max_norm: c; None clips nothing and only computes the norm.

    Returns:
      The gradients, with the norms before and after.

    Raises:
      ValueError: if ``max_norm`` is 0 or less.

    Example:
      >>> import jax.numpy as jnp
      >>> clipped = clip_by_global_norm({"w": jnp.array([3.0, 4.0])}, 2.5)
      >>> float(clipped.norm), float(clipped.clipped_norm), clipped.grads["w"].tolist()
      (5.0, 2.5, [1.5, 2.0])

    References:
      Pascanu, Mikolov and Bengio, "On the Difficulty of Training Recurrent Neural Networks", 2013.
    """
    check_max_norm("clip_by_global_norm", max_norm)
    with standard_promotion():
        wide = jax.tree.map(
            lambda leaf: leaf.astype(jnp.promote_types(leaf.dtype, jnp.float32)), grads
        )
        norm = jnp.asarray(optax.tree.norm(wide))
        if max_norm is None:
            return Clipped(grads, norm, norm)
        clip = optax.clip_by_global_norm(max_norm)
        scaled, _ = clip.update(wide, clip.init(wide))
    scaled = jax.tree.map(lambda new, old: new.astype(old.dtype), scaled, grads)
    return Clipped(scaled, norm, jnp.minimum(norm, max_norm))
