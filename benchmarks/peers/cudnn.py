"""``jax.experimental.rnn.lstm``: cuDNN's LSTM, called from JAX."""

import jax
import jax.numpy as jnp
import numpy as np
from jax.experimental import rnn

from peers.case import Case, Data, Program, program


def load(data: Data) -> np.ndarray:
    """Returns the flat weights: both matrices of every layer and direction, then both biases."""
    directions = [one for layer in data.layers for one in layer]
    matrices = [leaf.ravel() for one in directions for leaf in (one.w_ih, one.w_hh)]
    return np.concatenate(matrices + [leaf for one in directions for leaf in (one.b_ih, one.b_hh)])


def build(case: Case, data: Data) -> Program | str:
    if case.kind != "lstm":
        return "has an LSTM only"
    if jax.default_backend() != "gpu":
        return "needs a GPU"
    batch, steps, width, hidden = case.size

    def apply(params, xs, lengths, resets):
        state = jnp.zeros((case.layers * case.directions, batch, hidden))
        return rnn.lstm(
            xs,
            state,
            state,
            params,
            seq_lengths=jnp.full(batch, steps, jnp.int32) if lengths is None else lengths,
            input_size=width,
            hidden_size=hidden,
            num_layers=case.layers,
            dropout=0.0,
            bidirectional=case.bidirectional,
        )[0]

    return program(apply, load(data), data)
