"""What constructors and calls refuse, and how they say it."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxseq import nn

pytestmark = pytest.mark.usefixtures("untyped")


def refuses(kind, text, make):
    with pytest.raises(kind, match=re.escape(text)):
        make()


@pytest.mark.parametrize("name", ["input_size", "hidden_size", "num_layers"])
@pytest.mark.parametrize("size", [0, -1, 2.0, True, None])
def test_sizes_are_positive_integers(name, size):
    sizes = {"input_size": 2, "hidden_size": 3, "num_layers": 1} | {name: size}
    refuses(
        ValueError,
        f"LSTM: `{name}` must be a positive integer, but it is {size!r}",
        lambda: nn.LSTM(**sizes, rngs=nnx.Rngs(0)),
    )


@pytest.mark.parametrize("name", ["dropout", "input_dropout", "state_dropout"])
@pytest.mark.parametrize("rate", [1.0, -0.1, float("nan"), None])
def test_rates_lie_between_zero_and_one(name, rate):
    refuses(
        ValueError,
        f"Elman: `{name}` must be in [0, 1), but it is {rate!r}",
        lambda: nn.Elman(2, 3, **{name: rate}, rngs=nnx.Rngs(0)),
    )


@pytest.mark.parametrize("flags", [(True,), (True, False, True), (1, 0), 1, "yes"])
def test_there_is_one_bool_a_layer(flags):
    refuses(
        ValueError,
        "GRU: `bidirectional` must be a bool, or one bool a layer (num_layers = 2), "
        f"but it is {flags!r}",
        lambda: nn.GRU(2, 3, 2, bidirectional=flags, rngs=nnx.Rngs(0)),
    )


def test_a_numpy_bool_is_a_bool():
    layer = nn.GRU(2, 3, 2, bidirectional=[np.True_, False], rngs=nnx.Rngs(0))
    assert layer.bidirectional == (True, False) and type(layer.bidirectional[0]) is bool


def test_weights_are_floating_point():
    refuses(
        TypeError,
        "GRU: `param_dtype` must be a floating-point dtype, but it is int32",
        lambda: nn.GRU(2, 3, param_dtype=jnp.int32, rngs=nnx.Rngs(0)),
    )


@pytest.mark.parametrize(
    ("rngs", "arrived"), [(0, "0"), (jnp.zeros(2, jnp.uint32), "uint32[2]"), (None, "None")]
)
def test_randomness_is_an_nnx_rngs_or_a_key(rngs, arrived):
    refuses(
        TypeError,
        f"GRU: `rngs` must be an nnx.Rngs or a key, but it is {arrived}.\n"
        "  Hint: nnx.Rngs(0), or jax.random.key(0)",
        lambda: nn.GRU(2, 3, rngs=rngs),
    )


def test_a_call_refuses_what_is_no_key():
    layer = nn.GRU(2, 3, 2, dropout=0.5, rngs=jax.random.key(0))
    refuses(
        TypeError,
        "GRU: `rngs` must be an nnx.Rngs or a key, but it is 3",
        lambda: layer(jnp.ones((1, 2, 2)), rngs=3),
    )


def test_a_key_gives_the_weights_of_the_key():
    first, second, other = (
        nn.pure(nn.GRU(2, 3, rngs=jax.random.key(seed))).params["layers"]["0"]["w_ih"]
        for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(first, second)
    assert (first != other).any()


# ------------------------------------------------------------------------------- the task models


@pytest.mark.parametrize("model", [nn.SequenceClassifier, nn.SequenceTagger])
@pytest.mark.parametrize(
    ("kind", "settings", "text"),
    [
        (ValueError, {"input_size": 0}, "`input_size` must be a positive integer, but it is 0"),
        (ValueError, {"hidden_size": 0}, "`hidden_size` must be a positive integer, but it is 0"),
        (ValueError, {"num_layers": 0}, "`num_layers` must be a positive integer, but it is 0"),
        (ValueError, {"vocab_size": 0}, "`vocab_size` must be a positive integer, but it is 0"),
        (ValueError, {"dropout": 1.0}, "`dropout` must be in [0, 1), but it is 1.0"),
        (ValueError, {"cell": "rnn"}, '`cell` must be one of "elman", "gru", "lstm", but it is'),
        (TypeError, {"rngs": 3}, "`rngs` must be an nnx.Rngs or a key, but it is 3"),
    ],
)
def test_a_wrong_setting_of_a_model_is_named(model, kind, settings, text):
    given = {"input_size": 2, "hidden_size": 3, "rngs": nnx.Rngs(0)} | settings
    refuses(kind, f"{model.__name__}: {text}", lambda: model(4, **given))


@pytest.mark.parametrize("model", [nn.SequenceClassifier, nn.SequenceTagger])
def test_wrong_inputs_of_a_model_are_named(model):
    where = f"{model.__name__}: `inputs` must"
    reads_symbols = model(4, 2, 3, vocab_size=5, dropout=0.5, rngs=nnx.Rngs(0))
    text = f"{where} lie in [0, vocab_size) = [0, 5), but they range from 0 to 5"
    refuses(ValueError, text, lambda: reads_symbols(np.array([[0, 5]])))
    text = f"{where} be integers, but they are float32"
    refuses(TypeError, text, lambda: reads_symbols(np.ones((1, 2), np.float32)))
    text = f"{where} have shape (*batch, T), but it has shape ()"
    refuses(ValueError, text, lambda: reads_symbols(np.array(1)))
    text = f"{model.__name__}: `rngs` must be an nnx.Rngs or a key, but it is 3"
    refuses(TypeError, text, lambda: reads_symbols(np.array([[0, 1]]), rngs=3))
    text = "`lengths` must have shape batch = (1,)"
    refuses(ValueError, text, lambda: reads_symbols(np.array([[0, 1]]), lengths=np.array([1, 2])))
    reads_vectors = model(4, 2, 3, rngs=nnx.Rngs(0))
    text = (
        f"{where} have shape (*batch, T, input_size) with input_size = 2, but it has shape (2, 3)"
    )
    refuses(ValueError, text, lambda: reads_vectors(np.ones((2, 3), np.float32)))
