"""No peer: the matrix products of a case with next to nothing between them, in XLA. A bound.

In inference, for each layer and direction: one product of all inputs before the loop, and at every
step one of the state. In a training step, also one of the state's cotangent at every step of a
second loop, and after it one product for each weight's gradient and one for that of the inputs.
The loops add, take a maximum and clip, so that values depend on each other and stay finite.
"""

import jax
import jax.numpy as jnp

from peers.case import KINDS, Case, Data, Program


def forward(weights, xs, gates):
    """Returns a state for every step, ``[T, B, H]``, and what came of the inputs."""
    w_ih, w_hh, _ = weights
    z_x = xs @ w_ih
    zeros = jnp.zeros((xs.shape[1], w_hh.shape[0]))

    def step(h, z_x):
        z = (h @ w_hh + z_x).reshape(len(h), gates, -1)
        h = jnp.clip(z.max(1), -1.0, 1.0)
        return h, h

    return jax.lax.scan(step, zeros, z_x)[1], z_x


def backward(weights, xs, kept, gates):
    """Returns products shaped like the gradients of the inputs and of both weights."""
    w_ih, _, w_hh_turned = weights
    hs, z_x = kept

    def step(d_h, z_x):
        d_z = jnp.tile(d_h, (1, gates)) + z_x
        return jnp.clip(d_z @ w_hh_turned, -1.0, 1.0), d_z

    _, d_z = jax.lax.scan(step, hs[-1], z_x, reverse=True)
    flat = d_z.reshape(-1, d_z.shape[-1])
    of_weights = [leaf.reshape(-1, leaf.shape[-1]).T @ flat for leaf in (xs, hs)]
    return d_z @ w_ih.T, of_weights


def build(case: Case, data: Data) -> Program:
    gates = KINDS[case.kind]
    # Each loop has its weight laid out as it reads it: [K, N] for a product with [B, K].
    layers = [[(one.w_ih.T, one.w_hh.T, one.w_hh) for one in layer] for layer in data.layers]
    arguments = jax.device_put((layers, data.xs.swapaxes(0, 1)))

    def infer(layers, ys, keep=None):
        for layer in layers:
            kept = [forward(weights, ys, gates) for weights in layer]
            if keep is not None:
                keep.append((layer, ys, kept))
            ys = jnp.concatenate([hs for hs, _ in kept], -1)
        return ys

    def train(layers, xs):
        kept = []
        infer(layers, xs, kept)
        return [
            backward(weights, ys, one, gates)
            for layer, ys, states in kept
            for weights, one in zip(layer, states, strict=True)
        ]

    run_train, run_infer = jax.jit(train), jax.jit(infer)
    return Program(
        train=lambda: jax.block_until_ready(run_train(*arguments)),
        infer=lambda: jax.block_until_ready(run_infer(*arguments)),
    )
