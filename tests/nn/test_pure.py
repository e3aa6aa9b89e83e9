"""A module taken apart into arrays and a pure function, and put together again."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxseq import nn

XS = jnp.ones((1, 3, 2))


def gru(seed=0, **settings):
    return nn.GRU(2, 3, settings.pop("layers", 2), rngs=nnx.Rngs(seed), **settings)


def test_params_are_nested_dicts_of_arrays():
    params = nn.pure(gru()).params
    assert type(params) is dict and params["layers"].keys() == {"0", "1"}
    assert all(type(leaf) is type(XS) for leaf in jax.tree.leaves(params))
    assert params["layers"]["1"]["w_hh"].shape == (9, 3)


def test_apply_is_the_module():
    layer = gru(bidirectional=True)
    params, apply = nn.pure(layer)
    lengths = np.array([2])
    jax.tree.map(
        np.testing.assert_array_equal,
        apply(params, XS, lengths=lengths),
        layer(XS, lengths=lengths),
    )


def test_apply_follows_its_params_and_not_the_module():
    layer = gru()
    params, apply = nn.pure(layer)
    halved = jax.tree.map(lambda leaf: 0.5 * leaf, params)
    moved = apply(halved, XS)[1]
    assert (moved != layer(XS)[1]).any()
    np.testing.assert_array_equal(nn.with_params(layer, halved)(XS)[1], moved)
    np.testing.assert_array_equal(apply(params, XS)[1], layer(XS)[1])


def test_another_method_may_be_applied():
    layer = gru()
    params, step = nn.pure(layer, method="step")
    carry = nn.pure(layer, method="carry").apply(params, (1,))
    ours, theirs = step(params, carry, XS[:, 0]), layer.step(layer.carry((1,)), XS[:, 0])
    jax.tree.map(np.testing.assert_array_equal, ours, theirs)


def test_equal_constructions_share_one_function():
    assert nn.pure(gru(0)).apply is nn.pure(gru(1)).apply
    assert nn.pure(gru()).apply is not nn.pure(gru(), method="step").apply
    for other in ({"layers": 1}, {"dropout": 0.5}, {"residual": True}, {"reset_after": False}):
        assert nn.pure(gru()).apply is not nn.pure(gru(**other)).apply


def test_equal_models_compile_once():
    traces = []

    @jax.jit
    def run(params, xs):
        traces.append(xs)
        return nn.pure(gru()).apply(params, xs)

    for seed in range(3):
        run(nn.pure(gru(seed)).params, XS)
    assert len(traces) == 1
    compiled = jax.jit(lambda apply, params: apply(params, XS)[1].sum(), static_argnums=0)
    for seed in range(3):
        compiled(*nn.pure(gru(seed))[::-1])
    assert compiled._cache_size() == 1


def test_params_come_back_under_the_paths_that_they_had():
    layer = gru(layers=11)  # "10" sorts before "2"
    params = nn.pure(layer).params
    again = nn.with_params(layer, jax.tree.map(jnp.copy, params))
    jax.tree.map(np.testing.assert_array_equal, again.params, layer.params)
    assert again is not layer and nnx.graphdef(again) == nnx.graphdef(layer)


def test_weights_of_another_dtype_may_be_put_in():
    halves = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), nn.pure(gru()).params)
    assert nn.with_params(gru(), halves)(XS.astype(jnp.bfloat16))[1].dtype == jnp.bfloat16


def test_a_module_of_ones_own_is_taken_apart_too():
    class Tagger(nnx.Module):
        def __init__(self, rngs):
            self.below = gru()
            self.above = nnx.Linear(3, 2, rngs=rngs)

        def __call__(self, xs):
            return self.above(self.below(xs)[1])

    tagger = Tagger(nnx.Rngs(0))
    params, apply = nn.pure(tagger)
    assert params["above"].keys() == {"kernel", "bias"}
    np.testing.assert_array_equal(apply(params, XS), tagger(XS))


# ------------------------------------------------------------------------------------- messages


def test_state_besides_the_params_is_refused():
    text = "pure: `model` must hold no state but nnx.Param, but it holds mean, var.\n"
    with pytest.raises(TypeError, match=re.escape(text + "  Hint: give randomness to the call")):
        nn.pure(nnx.BatchNorm(2, rngs=nnx.Rngs(0)))


def test_what_is_no_module_is_refused(untyped):
    with pytest.raises(TypeError, match=r"pure: `model` must be an nnx\.Module, but it is 3"):
        nn.pure(3)
    with pytest.raises(
        TypeError, match=r"with_params: `model` must be an nnx\.Module, but it is 3"
    ):
        nn.with_params(3, {})


def test_a_method_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="pure: `method` must be one of GRU, but it is 'sample'"):
        nn.pure(gru(), method="sample")


def test_params_of_another_module_are_refused():
    params, apply = nn.pure(gru())
    text = r"`params` must be those of the module, but layers.1.b_hh, .* is missing\.\n  Hint: nn"
    with pytest.raises(TypeError, match=r"with_params: " + text):
        nn.with_params(gru(), nn.pure(gru(layers=1)).params)
    with pytest.raises(TypeError, match=r"apply: " + text):
        apply(nn.pure(gru(layers=1)).params, XS)
    with pytest.raises(TypeError, match=r"apply: .*, but bias is not the module's\.\n"):
        apply(params | {"bias": XS}, XS)
    with pytest.raises(TypeError, match=r"layers.1.w_ih is missing; a single leaf is not"):
        apply(XS, XS)


def test_params_of_another_shape_are_refused():
    params = nn.pure(gru()).params
    params["layers"]["0"]["b_hh"] = jnp.zeros(2)
    text = (
        "with_params: `params` must have layers.0.b_hh of shape (9,), but there it has shape (2,)"
    )
    with pytest.raises(ValueError, match=re.escape(text)):
        nn.with_params(gru(), params)
