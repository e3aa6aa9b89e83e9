"""Weights of other libraries, brought over by the functions of the page that says how."""

import ast
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pages
import pytest
import torch_cases
from flax import nnx

import jaxseq
from jaxseq import nn

PAGE = Path(__file__).parents[2] / "docs" / "guides" / "coming_from.md"
W, H, T = 3, 4, 6
RANDOM = np.random.default_rng(0)
XS = RANDOM.standard_normal((T, W))


def functions():
    """The functions of the page, without running what stands between them."""
    text = "".join(block.text for block in pages.blocks(PAGE) if block.language == "python")
    kept = (ast.Import, ast.ImportFrom, ast.FunctionDef)
    body = [node for node in ast.parse(text).body if isinstance(node, kept)]
    names = {}
    exec(compile(ast.Module(body, []), str(PAGE), "exec"), names)
    return names


BRING = functions()


def draw(*shape):
    return RANDOM.uniform(-0.8, 0.8, shape)


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def run(step, *state):
    """Outputs of a step ``(x, *state) -> state`` in NumPy; the first of a state is h."""
    outputs = []
    for x in XS:
        state = step(x, *state)
        outputs.append(state[0])
    return np.stack(outputs)


def check(cell, params, expected):
    params = jax.tree.map(jnp.asarray, params)
    _, ys = jaxseq.scan(cell, params, jnp.asarray(XS))
    assert ys.dtype == np.float64
    np.testing.assert_allclose(ys, expected, rtol=1e-12, atol=1e-12)


def lstm(i, f, g, o, c):
    c = sigmoid(f) * c + sigmoid(i) * np.tanh(g)
    return sigmoid(o) * np.tanh(c), c


@pytest.mark.usefixtures("x64")
def test_an_lstm_of_keras():
    kernel, recurrent, bias = draw(W, 4 * H), draw(H, 4 * H), draw(4 * H)

    def step(x, h, c):
        return lstm(*np.split(x @ kernel + h @ recurrent + bias, 4), c)

    params = BRING["lstm_from_keras"](kernel, recurrent, bias)
    check(jaxseq.lstm(W, H), params, run(step, np.zeros(H), np.zeros(H)))


@pytest.mark.usefixtures("x64")
def test_a_gru_of_keras():
    kernel, recurrent, bias = draw(W, 3 * H), draw(H, 3 * H), draw(2, 3 * H)

    def step(x, h):
        z_x, r_x, h_x = np.split(x @ kernel + bias[0], 3)
        z_h, r_h, h_h = np.split(h @ recurrent + bias[1], 3)
        z, r = sigmoid(z_x + z_h), sigmoid(r_x + r_h)
        return (z * h + (1 - z) * np.tanh(h_x + r * h_h),)

    params = BRING["gru_from_keras"](kernel, recurrent, bias)
    check(jaxseq.gru(W, H), params, run(step, np.zeros(H)))


@pytest.mark.usefixtures("x64")
def test_an_lstm_of_equinox():
    w_ih, w_hh, bias = draw(4 * H, W), draw(4 * H, H), draw(4 * H)

    def step(x, h, c):
        return lstm(*np.split(w_ih @ x + w_hh @ h + bias, 4), c)

    params = BRING["lstm_from_equinox"](w_ih, w_hh, bias)
    check(jaxseq.lstm(W, H), params, run(step, np.zeros(H), np.zeros(H)))


@pytest.mark.usefixtures("x64")
def test_a_gru_of_equinox():
    w_ih, w_hh, bias, bias_n = draw(3 * H, W), draw(3 * H, H), draw(3 * H), draw(H)

    def step(x, h):
        r_x, z_x, n_x = np.split(w_ih @ x + bias, 3)
        r_h, z_h, n_h = np.split(w_hh @ h, 3)
        r, z = sigmoid(r_x + r_h), sigmoid(z_x + z_h)
        n = np.tanh(n_x + r * (n_h + bias_n))
        return (n + z * (h - n),)

    params = BRING["gru_from_equinox"](w_ih, w_hh, bias, bias_n)
    check(jaxseq.gru(W, H), params, run(step, np.zeros(H)))


@pytest.mark.usefixtures("x64")
def test_an_lstm_of_haiku():
    w, b = draw(W + H, 4 * H), draw(4 * H)

    def step(x, h, c):
        i, g, f, o = np.split(np.concatenate([x, h]) @ w + b, 4)
        return lstm(i, f + 1, g, o, c)

    params = BRING["lstm_from_haiku"](w, b, W)
    check(jaxseq.lstm(W, H), params, run(step, np.zeros(H), np.zeros(H)))


@pytest.mark.usefixtures("x64")
def test_layers_of_pytorch():
    case = torch_cases.Case("LSTM", 2, bidirectional=True)
    recorded = torch_cases.load(case)
    _, _, width, hidden = case.sizes
    module = nn.LSTM(
        width, hidden, 2, bidirectional=True, param_dtype=jnp.float64, rngs=jax.random.key(0)
    )
    params = BRING["from_torch"](torch_cases.weights(recorded), 2, bidirectional=True)
    carry = module.carry(recorded["xs"].shape[:1])
    carry = carry._replace(h=jnp.asarray(recorded["h_0"]), c=jnp.asarray(recorded["c_0"]))
    carry, ys = nn.with_params(module, params)(recorded["xs"], carry=carry)
    for ours, theirs in ((ys, "ys"), (carry.h, "h_n"), (carry.c, "c_n")):
        np.testing.assert_allclose(ours, recorded[theirs], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("kind", ["lstm", "gru"])
@pytest.mark.usefixtures("x64")
def test_cells_of_flax_with_biases_that_are_not_zero(kind):
    options = {"param_dtype": jnp.float64, "dtype": jnp.float64, "rngs": nnx.Rngs(0)}
    if kind == "lstm":
        theirs, ours = nnx.OptimizedLSTMCell(W, H, **options), jaxseq.lstm(W, H)
        theirs.dense_h.bias = nnx.Param(jnp.asarray(draw(4 * H)))
        state = (jnp.zeros(H), jnp.zeros(H))
    else:
        theirs, ours = nnx.GRUCell(W, H, **options), jaxseq.gru(W, H)
        theirs.dense_i.bias = nnx.Param(jnp.asarray(draw(3 * H)))
        state = jnp.zeros(H)
    outputs = []
    for x in jnp.asarray(XS):
        state, y = theirs(state, x)
        outputs.append(y)
    check(ours, BRING[f"{kind}_from_nnx"](theirs), np.stack(outputs))
