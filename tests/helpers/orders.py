"""Derivatives of the first and the second order, each way that JAX has."""

import jax
import jax.numpy as jnp


def every_order(loss, point, direction):
    """Returns a tangent, and a Hessian-vector product forward over reverse and in reverse twice."""

    def orders(point, direction):
        def slope(point):
            grads, along = jax.tree.leaves(jax.grad(loss)(point)), jax.tree.leaves(direction)
            return sum(jnp.sum(g * d) for g, d in zip(grads, along, strict=True))

        return (
            jax.jvp(loss, (point,), (direction,)),
            jax.jvp(jax.grad(loss), (point,), (direction,))[1],
            jax.grad(slope)(point),
        )

    return jax.jit(orders)(point, direction)
