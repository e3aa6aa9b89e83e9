"""The module CRF: its weights, and that it adds nothing to the functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxseq import nn
from jaxseq.nn._crf import CRF
from jaxseq.structured import crf

LABELS = ["O", "B-X", "I-X"]
BIO = crf.bio(LABELS)
LENGTHS = np.array([4, 0, 2])
EMISSIONS = np.random.default_rng(0).normal(size=(3, 4, 3)).astype(np.float32)
TAGS = np.array([[0, 1, 2, 2], [0, 0, 0, 0], [1, 2, 9, 9]])


@pytest.fixture(params=["graph", "simple graph", "tree"])
def mode(request):
    """NNX as it is, without graph updates, and as it will be: FLIP 5310."""
    with (
        nnx.set_graph_mode(request.param != "tree"),
        nnx.set_graph_updates(request.param == "graph"),
    ):
        yield request.param


def build(seed=0, allowed=BIO, **settings):
    return CRF(3, allowed=allowed, rngs=nnx.Rngs(seed), **settings)


def loss(model, emissions=EMISSIONS):
    return -model.log_likelihood(emissions, TAGS, lengths=LENGTHS).sum()


def test_weights_begin_small_and_differ_by_seed():
    model = build()
    shapes = {name: leaf.shape for name, leaf in nnx.to_pure_dict(nnx.state(model)).items()}
    assert shapes == {"transitions": (3, 3), "initial": (3,), "final": (3,)}
    for name in shapes:
        leaf = getattr(model, name).get_value()
        assert leaf.dtype == jnp.float32 and (abs(leaf) <= 0.1).all() and (leaf != 0).all()
        assert (leaf != getattr(build(1), name).get_value()).all()
    assert (model.initial.get_value() != model.final.get_value()).all()


def test_weights_have_the_dtype_asked_for():
    model = build(param_dtype=jnp.bfloat16)
    assert {leaf.dtype for leaf in jax.tree.leaves(nnx.state(model))} == {jnp.dtype("bfloat16")}
    assert jax.eval_shape(model.log_partition, EMISSIONS).dtype == jnp.float32


def test_a_key_does_for_rngs():
    model = CRF(3, rngs=jax.random.key(0))
    assert model.allowed is None and model.transitions.get_value().shape == (3, 3)


@pytest.mark.parametrize("allowed", [pytest.param(None, marks=pytest.mark.slow), BIO])
def test_every_method_is_the_function_with_the_weights(allowed):
    @jax.jit
    def both(params, key):
        model = nn.with_params(build(allowed=allowed), params)
        given, ragged = {**params, "allowed": allowed, "lengths": LENGTHS}, {"lengths": LENGTHS}
        return [
            (model.log_partition(EMISSIONS, **ragged), crf.log_partition(EMISSIONS, **given)),
            (
                model.log_likelihood(EMISSIONS, TAGS, **ragged),
                crf.log_likelihood(EMISSIONS, TAGS, **given),
            ),
            (model.viterbi(EMISSIONS, **ragged), crf.viterbi(EMISSIONS, **given)),
            (model.marginals(EMISSIONS, **ragged), crf.marginals(EMISSIONS, **given)),
            (model.sample(key, EMISSIONS, **ragged), crf.sample(key, EMISSIONS, **given)),
            (model.k_best(EMISSIONS, k=2, **ragged), crf.k_best(EMISSIONS, k=2, **given)),
            (model.entropy(EMISSIONS, **ragged), crf.entropy(EMISSIONS, **given)),
        ]

    for found, expected in both(nn.pure(build(allowed=allowed)).params, jax.random.key(3)):
        jax.tree.map(np.testing.assert_array_equal, found, expected)


def test_the_backend_is_handed_on():
    plain = build().log_partition(EMISSIONS, lengths=LENGTHS, backend="reference")
    np.testing.assert_allclose(build().log_partition(EMISSIONS, lengths=LENGTHS), plain, rtol=1e-5)
    with pytest.raises(ValueError, match="backend"):
        build().viterbi(EMISSIONS, backend="magic")


def test_constraints_hold_in_partition_and_decoding():
    tempting = np.zeros((2, 3), np.float32)
    tempting[:, 2] = 50  # I-X may not begin

    @jax.jit
    def everything(free, bound, key):
        return (
            *(model.viterbi(tempting)[0] for model in (free, bound)),
            *(bound.marginals(tempting), bound.sample(key, tempting)),
            bound.log_likelihood(tempting, np.array([2, 2])),
            bound.k_best(tempting, k=9)[1],
        )

    free, best, marginals, drawn, nats, scores = map(
        np.asarray, everything(build(allowed=None), build(), jax.random.key(0))
    )
    assert free.tolist() == [2, 2]
    assert best.tolist() == [1, 2]
    assert marginals[0, 2] == 0
    assert drawn.tolist() == [1, 2]
    assert nats == -np.inf
    assert scores.tolist().count(-np.inf) == 4  # 5 of 9 are allowed


def test_allowed_comes_back_as_it_was_given():
    for mask, given in zip(build().allowed, BIO, strict=True):
        np.testing.assert_array_equal(mask, given)


def test_equal_constructions_have_equal_graphs(mode):
    graphdef, state = nnx.split(build(0))
    other, _ = nnx.split(build(1))
    assert graphdef == other and hash(graphdef) == hash(other)
    assert graphdef != nnx.split(build(allowed=None))[0]
    compiled = jax.jit(loss)
    np.testing.assert_array_equal(compiled(nnx.merge(graphdef, state)), compiled(build()))
    assert len(jax.tree.leaves(state)) == 3


def test_jit_traces_once(mode):
    traces = []

    @nnx.jit
    def of_flax(model):
        traces.append(model)
        return loss(model)

    @jax.jit
    def of_jax(state):
        traces.append(state)
        return loss(nnx.merge(graphdef, state))

    graphdef, _ = nnx.split(build())
    for seed in (0, 1):
        found = of_flax(build(seed)), of_jax(nnx.split(build(seed))[1])
        np.testing.assert_allclose(*found, rtol=1e-6)
    assert len(traces) == 2


def test_the_gradient_reaches_every_weight(mode):
    slopes = nnx.to_pure_dict(nnx.state(nnx.jit(nnx.grad(loss))(build(allowed=None))))
    assert slopes.keys() == {"transitions", "initial", "final"}
    for leaf in slopes.values():
        assert np.isfinite(leaf).all() and (leaf != 0).all()


def test_what_is_forbidden_has_no_gradient():
    slopes = nnx.to_pure_dict(nnx.state(nnx.jit(nnx.grad(loss))(build())))
    np.testing.assert_array_equal(slopes["transitions"] != 0, BIO.transitions)
    np.testing.assert_array_equal(slopes["initial"] != 0, BIO.initial)


def test_pure_takes_it_apart():
    params, apply = nn.pure(build(), method="log_likelihood")
    found = jax.jit(lambda params: -apply(params, EMISSIONS, TAGS, lengths=LENGTHS).sum())(params)
    np.testing.assert_array_equal(found, jax.jit(loss)(build()))


@pytest.mark.parametrize(
    ("kind", "settings", "message"),
    [
        (ValueError, {"num_tags": 0}, "CRF: `num_tags` must be a positive integer, but it is 0"),
        (TypeError, {"param_dtype": int}, "CRF: `param_dtype` must be a floating-point dtype"),
        (TypeError, {"rngs": 3}, r"CRF: `rngs` must be an nnx.Rngs or a key, but it is 3"),
        (
            TypeError,
            {"allowed": np.ones((3, 3))},
            "CRF: `allowed` must be an Allowed, but it is",
        ),
        (
            ValueError,
            {"allowed": crf.bio(["O"])},
            r"CRF: `allowed.transitions` must have shape \(K, K\) = \(3, 3\), but .* \(1, 1\)",
        ),
        (
            ValueError,
            {"allowed": BIO._replace(final=np.ones(2, bool))},
            r"CRF: `allowed.final` must have shape \(K,\) = \(3,\), but .* \(2,\)",
        ),
    ],
)
def test_a_wrong_setting_is_named(untyped, kind, settings, message):
    with pytest.raises(kind, match=message):
        CRF(**{"num_tags": 3, "rngs": jax.random.key(0)} | settings)


@pytest.mark.parametrize("shape", [(3,), (4, 2)])
def test_emissions_of_another_size_are_named(untyped, shape):
    message = r"CRF: `emissions` must have shape \(\*batch, T, K\) with K = num_tags = 3"
    with pytest.raises(ValueError, match=message):
        build().log_partition(np.zeros(shape, np.float32))
