"""``flax.nnx.RNN`` and ``flax.nnx.Bidirectional``, taken apart outside the step as its guide says.

Flax does not zero the outputs in the padding, so the network does, once, after the last layer.
"""

import jax.numpy as jnp
from flax import nnx

from peers.case import Case, Data, Layer, Program, program, valid

CELLS = {"elman": nnx.SimpleCell, "gru": nnx.GRUCell, "lstm": nnx.OptimizedLSTMCell}


def load(kind: str, layer: Layer) -> nnx.Module:
    """Returns a cell with the given weights; of its two dense layers one has a bias."""
    width, hidden = layer.w_ih.shape[1], layer.w_hh.shape[1]
    cell = CELLS[kind](width, hidden, rngs=nnx.Rngs(0))
    bias = layer.b_ih + layer.b_hh
    for dense, kernel in ((cell.dense_i, layer.w_ih), (cell.dense_h, layer.w_hh)):
        dense.kernel = nnx.Param(jnp.asarray(kernel.T))
        if dense.bias is not None:
            dense.bias = nnx.Param(jnp.asarray(bias))
    return cell


class Network(nnx.Module):
    """Layers one after another."""

    def __init__(self, case: Case, data: Data):
        layers = [[nnx.RNN(load(case.kind, one)) for one in layer] for layer in data.layers]
        self.layers = nnx.List(
            nnx.Bidirectional(*layer) if case.bidirectional else layer[0] for layer in layers
        )

    def __call__(self, ys, carry, lengths):
        for layer in self.layers:
            ys = layer(ys, initial_carry=carry, seq_lengths=lengths)
        return ys


def build(case: Case, data: Data) -> Program:
    batch, steps, _, hidden = case.size
    graph, params, rest = nnx.split(Network(case, data), nnx.Param, ...)

    def apply(params, xs, lengths, resets):
        # Without a carry of ours, nnx.RNN draws one from a stream that `grad` may not advance.
        zeros = jnp.zeros((batch, hidden))
        carry = (zeros, zeros) if case.kind == "lstm" else zeros
        carry = (carry, carry) if case.bidirectional else carry
        ys = nnx.merge(graph, params, rest)(xs, carry, lengths)
        if lengths is None:
            return ys
        return jnp.where(valid(lengths, steps)[..., None], ys, jnp.zeros_like(ys))

    return program(apply, params, data)
