"""The modules under the transformations of JAX and of Flax, in every mode of NNX."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from jaxseq import nn

TOKENS = np.array([[1, 2, 0], [2, 1, 1]])
MODES = ("graph", "simple graph", "tree")


@pytest.fixture(params=MODES, autouse=True)
def mode(request):
    """NNX as it is, without graph updates, and as it will be: FLIP 5310."""
    with (
        nnx.set_graph_mode(request.param != "tree"),
        nnx.set_graph_updates(request.param == "graph"),
    ):
        yield request.param


def build(seed=0, **settings):
    return nn.LanguageModel(3, 2, 2, 2, cell="elman", rngs=nnx.Rngs(seed), **settings)


def classifier(seed=0, **settings):
    settings = {"vocab_size": 3, "pooling": ("last", "attention"), **settings}
    return nn.SequenceClassifier(3, 2, 2, cell="elman", rngs=nnx.Rngs(seed), **settings)


def tagger(seed=0, **settings):
    settings = {"vocab_size": 3, "char_vocab_size": 3, "char_hidden_size": 2, **settings}
    return nn.SequenceTagger(3, 2, 2, cell="elman", output="crf", rngs=nnx.Rngs(seed), **settings)


def translator(seed=0, **settings):
    settings = {"input_feeding": True, "attention": "additive", **settings}
    return nn.Seq2Seq(3, 3, 2, 2, cell="elman", rngs=nnx.Rngs(seed), **settings)


def every_model(test):
    """In every mode, of which the quick run has that between two others for the first model."""
    cases = [
        pytest.param(mode, model, marks=[pytest.mark.slow] * (mode == MODES[1] and n > 0))
        for mode in MODES
        for n, model in enumerate((build, classifier, tagger, translator))
    ]
    return pytest.mark.parametrize(("mode", "build"), cases, indirect=["mode"])(test)


def loss(model, tokens, rngs=None):
    more = {"lengths": np.array([3, 1]), "rngs": rngs}
    if isinstance(model, nn.LanguageModel):
        return (model(tokens, **more)[1] ** 2).mean()
    if isinstance(model, nn.Seq2Seq):
        return (model(tokens, tokens, source_lengths=more["lengths"], **more) ** 2).mean()
    if isinstance(model, nn.SequenceClassifier):
        return (model(tokens, **more) ** 2).mean()
    emissions = model(tokens, characters=jnp.stack([tokens, tokens], axis=-1), **more)
    return -model.log_likelihood(emissions, tokens, lengths=more["lengths"]).mean()


@every_model
def test_equal_constructions_have_equal_graphs(build):
    graphdef, state = nnx.split(build(0))
    other, _ = nnx.split(build(1))
    assert graphdef == other and hash(graphdef) == hash(other)
    assert graphdef != nnx.split(build(dropout=0.5))[0]
    compiled = jax.jit(loss)
    found, expected = (compiled(model, TOKENS) for model in (nnx.merge(graphdef, state), build()))
    np.testing.assert_array_equal(found, expected)


@every_model
def test_jit_traces_once(build):
    traces = []

    @nnx.jit
    def of_flax(model, tokens):
        traces.append(model)
        return loss(model, tokens)

    @jax.jit
    def of_jax(state, tokens):
        traces.append(state)
        return loss(nnx.merge(graphdef, state), tokens)

    graphdef, _ = nnx.split(build())
    for seed in (0, 1, 0):
        first = of_flax(build(seed), TOKENS)
        second = of_jax(nnx.split(build(seed))[1], TOKENS)
        np.testing.assert_allclose(first, second, rtol=1e-6)
    assert len(traces) == 2


@functools.cache
def by_jax(build):
    """The loss and its gradient by JAX alone, which no mode of NNX changes."""
    model = build()
    differentiate = jax.value_and_grad(lambda params: loss(nn.with_params(model, params), TOKENS))
    return jax.jit(differentiate)(nn.pure(model).params)


def assert_same_gradient(found, expected):
    leaves = jax.tree.leaves(nnx.to_pure_dict(nnx.state(found)))
    assert len(leaves) == len(jax.tree.leaves(expected))
    for leaf, like in zip(leaves, jax.tree.leaves(expected), strict=True):
        np.testing.assert_allclose(leaf, like, rtol=1e-5, atol=1e-7)
        assert np.any(np.asarray(leaf))


@every_model
def test_gradients_agree_and_reach_every_weight(build):
    value, gradient = nnx.jit(nnx.value_and_grad(loss))(build(), TOKENS)
    np.testing.assert_allclose(value, by_jax(build)[0], rtol=1e-6)
    assert_same_gradient(gradient, by_jax(build)[1])


def test_a_gradient_without_its_value_is_the_same():
    assert_same_gradient(nnx.jit(nnx.grad(loss))(build(), TOKENS), by_jax(build)[1])


def test_an_optimizer_of_flax_trains():
    model = build(dropout=0.25)
    optimizer = nnx.Optimizer(model, optax.sgd(0.5, momentum=0.9), wrt=nnx.Param)

    @nnx.jit
    def step(model, optimizer, key):
        value, gradient = nnx.value_and_grad(loss)(model, TOKENS, key)
        optimizer.update(model, gradient)
        return value

    compiled = jax.jit(loss)
    before = compiled(model, TOKENS)
    for key in jax.random.split(jax.random.key(0), 10):
        step(model, optimizer, key)
    assert compiled(model, TOKENS) < 0.8 * before


def test_an_nnx_rngs_may_be_an_argument():
    model = build(dropout=0.5)
    call = nnx.jit(lambda model, rngs: model(TOKENS, rngs=rngs)[1])
    expected = model(TOKENS, rngs=nnx.Rngs(dropout=1).dropout())[1]
    np.testing.assert_allclose(call(model, nnx.Rngs(dropout=1)), expected, rtol=1e-5, atol=1e-6)


def test_a_gradient_may_close_over_a_module_and_a_key():
    model, key = build(dropout=0.5, state_dropout=0.5), jax.random.key(0)
    scale = jax.jit(jax.grad(lambda scale: scale * loss(model, TOKENS, key)))(1.0)
    np.testing.assert_allclose(scale, loss(model, TOKENS, key), rtol=1e-5)


def test_an_ensemble_is_a_vmap_over_states():
    graphdef, _ = nnx.split(build())
    states = [nnx.split(build(seed))[1] for seed in range(3)]
    together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *states)
    logits = jax.vmap(lambda state: nnx.merge(graphdef, state)(TOKENS)[1])(together)
    for seed in range(3):
        np.testing.assert_allclose(logits[seed], build(seed)(TOKENS)[1], rtol=1e-5, atol=1e-6)


def test_a_module_is_a_pytree_of_its_weights():
    model = build()
    doubled = jax.tree.map(lambda leaf: leaf * 2.0, model)
    np.testing.assert_array_equal(doubled.bias.get_value(), 2.0 * model.bias.get_value())
    jitted = jax.jit(lambda model, tokens: model(tokens)[1])(model, TOKENS)
    np.testing.assert_allclose(jitted, model(TOKENS)[1], rtol=1e-5, atol=1e-6)


def test_weights_taken_apart_in_one_mode_work_in_another():
    params, apply = nn.pure(build())
    with nnx.set_graph_mode(False), nnx.set_graph_updates(False):
        inside = apply(params, TOKENS)[1]
    np.testing.assert_array_equal(inside, nn.with_params(build(), params)(TOKENS)[1])
