"""Keras 3 on JAX: its layers through ``stateless_call``; lengths are a mask there."""

import os
from pathlib import Path

# Both are read when Keras is imported; the folder keeps it from writing one into the home.
os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("KERAS_HOME", str(Path(__file__).parents[2] / "build" / "keras"))

import keras
import numpy as np

from peers.case import Case, Data, Layer, Program, program, valid

LAYERS = {"elman": keras.layers.SimpleRNN, "gru": keras.layers.GRU, "lstm": keras.layers.LSTM}


def load(kind: str, layer: Layer) -> list[np.ndarray]:
    """Returns the kernel, the recurrent kernel and the bias."""
    if kind != "gru":
        return [layer.w_ih.T, layer.w_hh.T, layer.b_ih + layer.b_hh]
    z_r_n = [np.concatenate([z, r, n]) for r, z, n in (np.split(leaf, 3) for leaf in layer)]
    return [z_r_n[0].T, z_r_n[1].T, np.stack(z_r_n[2:])]


def build(case: Case, data: Data) -> Program | str:
    if keras.backend.backend() != "jax":
        return f"was imported with the backend {keras.backend.backend()}"
    _, steps, _, hidden = case.size
    layers, params = [], []
    for width, weights in zip(case.widths, data.layers, strict=True):
        layer = LAYERS[case.kind](hidden, return_sequences=True, zero_output_for_mask=True)
        layer = keras.layers.Bidirectional(layer) if case.bidirectional else layer
        layer.build((None, steps, width))
        layers.append(layer)
        params.append([leaf for one in weights for leaf in load(case.kind, one)])

    def apply(params, ys, lengths, resets):
        mask = None if lengths is None else valid(lengths, steps)
        for layer, weights in zip(layers, params, strict=True):
            state = [variable.value for variable in layer.non_trainable_variables]
            ys, _ = layer.stateless_call(weights, state, ys, mask=mask)
        return ys

    return program(apply, params, data)
