"""An Equinox cell under ``jax.lax.scan`` and ``jax.vmap``, as its documentation writes it.

Directions and lengths are what a user adds to that loop: ``reverse``, and a state that is kept in
the padding.
"""

import equinox
import jax
import jax.numpy as jnp

from peers.case import Case, Data, Layer, Program, program

CELLS = {"gru": equinox.nn.GRUCell, "lstm": equinox.nn.LSTMCell}


def load(kind: str, layer: Layer) -> equinox.Module:
    """Returns a cell with the given weights."""
    width, hidden = layer.w_ih.shape[1], layer.w_hh.shape[1]
    cell = CELLS[kind](width, hidden, key=jax.random.key(0))
    fields = {"weight_ih": layer.w_ih, "weight_hh": layer.w_hh, "bias": layer.b_ih + layer.b_hh}
    if kind == "gru":
        fields |= {"bias": layer.b_ih, "bias_n": layer.b_hh[2 * hidden :]}
    values = [jnp.asarray(value) for value in fields.values()]
    return equinox.tree_at(lambda cell: [getattr(cell, name) for name in fields], cell, values)


def over_time(cell, xs, length, reverse):
    """Runs a cell over one sequence."""
    zeros = jnp.zeros(cell.hidden_size)
    state = (zeros, zeros) if isinstance(cell, equinox.nn.LSTMCell) else zeros

    def step(state, inputs):
        x, t = inputs
        after = cell(x, state)
        if length is None:
            return after, jax.tree.leaves(after)[0]
        after = jax.tree.map(lambda new, old: jnp.where(t < length, new, old), after, state)
        y = jax.tree.leaves(after)[0]
        return after, jnp.where(t < length, y, jnp.zeros_like(y))

    steps = None if length is None else jnp.arange(len(xs))
    return jax.lax.scan(step, state, (xs, steps), reverse=reverse)[1]


def build(case: Case, data: Data) -> Program | str:
    if case.kind not in CELLS:
        return "has no Elman cell"
    params = [[load(case.kind, one) for one in layer] for layer in data.layers]

    def apply(params, ys, lengths, resets):
        run = jax.vmap(over_time, in_axes=(None, 0, None if lengths is None else 0, None))
        for layer in params:
            outputs = [run(cell, ys, lengths, bool(d)) for d, cell in enumerate(layer)]
            ys = jnp.concatenate(outputs, -1) if case.bidirectional else outputs[0]
        return ys

    return program(apply, params, data)
