"""A small recurrent network, its data, and a run to train it: what these tests share."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseq.training import init_state, make_step

ROWS, TIME, HIDDEN = 8, 3, 4


def elman_loss(params, carry, batch, key):
    """An Elman network that predicts a number at every step, with noise in training."""

    def advance(h, x):
        h = jnp.tanh(x @ params["w_ih"] + h @ params["w_hh"] + params["b"][None])
        return h, h @ params["w_out"]

    h, ys = jax.lax.scan(advance, carry["h"], jnp.swapaxes(batch["xs"], 0, 1))
    if key is not None:
        ys = ys + 0.01 * jax.random.normal(key, ys.shape)
    errors = (ys - jnp.swapaxes(batch["ys"], 0, 1)) ** 2
    return (jnp.sum(errors), jnp.array(float(errors.size))), {"h": h}


class Batches:
    """Random batches, each drawn from its own number; the cursor is that number."""

    def __init__(self, *, end=None):
        self.number, self.end = 0, end

    def __iter__(self):
        return self

    def __next__(self):
        if self.number == self.end:
            raise StopIteration
        rng = np.random.default_rng(self.number)
        self.number += 1
        xs = rng.normal(size=(ROWS, TIME, 2)).astype(np.float32)
        return {"xs": xs, "ys": np.cumsum(xs, axis=1)[..., :1].astype(np.float32)}

    @property
    def cursor(self):
        return {"number": self.number}

    def seek(self, cursor):
        self.number = cursor["number"]


@pytest.fixture
def loss():
    return elman_loss


@pytest.fixture
def batches():
    return Batches


@pytest.fixture(scope="session")
def optimizer():
    return optax.adam(0.01)


@pytest.fixture(scope="session")
def step(optimizer):
    return make_step(elman_loss, optimizer, max_norm=1.0)


@pytest.fixture
def params():
    rng = np.random.default_rng(7)
    shapes = {"w_ih": (2, HIDDEN), "w_hh": (HIDDEN, HIDDEN), "b": (HIDDEN,), "w_out": (HIDDEN, 1)}
    return {name: jnp.asarray(0.5 * rng.normal(size=s), "float32") for name, s in shapes.items()}


@pytest.fixture
def state(params, optimizer):
    carry = {"h": jnp.zeros((ROWS, HIDDEN))}
    return init_state(params, optimizer, key=jax.random.key(3), carry=carry)


@pytest.fixture
def same():
    """Asserts that two trees are equal to the bit, keys included."""

    def plain(leaf):
        keys = jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
        return np.asarray(jax.random.key_data(leaf) if keys else leaf)

    def compare(one, other):
        assert jax.tree.structure(one) == jax.tree.structure(other)
        for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
            assert a.dtype == b.dtype
            assert plain(a).tobytes() == plain(b).tobytes()

    return compare
