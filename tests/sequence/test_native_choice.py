"""Which scans run on the kernels, and what is said where they cannot."""

import jax
import jax.numpy as jnp
import pytest
from kernels import forget, kernels

import jaxseq
from jaxseq.sequence import _native
from jaxseq.testing import random_example

pytestmark = pytest.mark.usefixtures("with_kernels")
HINT = '\n  Hint: leave it at "auto"'


@kernels
def test_auto_takes_the_kernel_and_a_plan_says_so():
    cell = jaxseq.stack([jaxseq.lstm(2, 3), jaxseq.gru(3, 3, reset_after=False)])
    params, xs, _ = random_example(cell, batch_shape=(2,), steps=40)
    plan = jaxseq.plan(cell, params, xs)
    assert plan.why.splitlines() == [
        "lstm on native: the kernel for CPUs is installed, and has this cell",
        "gru on reference: does not decompose into maps",
    ]
    alone = jaxseq.plan(jaxseq.lstm(2, 3), params[0], xs)
    assert alone.forward == (0, 2 * 2 * 40 * 12 * (2 + 3))
    assert alone.backward.flops == 2 * alone.forward.flops and alone.kept_bytes > 0


@kernels
@pytest.mark.parametrize(
    ("cell", "dtype", "options", "lacks"),
    [
        (jaxseq.peephole_lstm(2, 3), jnp.float32, {}, "there is no kernel for peephole_lstm"),
        (jaxseq.elman(2, 3, activation=jnp.sin), jnp.float32, {}, "there is no kernel for elman"),
        (
            jaxseq.gru(2, 3)._replace(reset=lambda params, carry: carry),
            jnp.float32,
            {},
            "its reset is another than to zeros",
        ),
        (jaxseq.gru(2, 3), jnp.bfloat16, {}, "it needs float32 or float64 throughout, and this is"),
        (jaxseq.gru(2, 3), jnp.float32, {"remat": 1}, "with `remat` 1 the states alone are kept"),
    ],
)
def test_what_the_kernel_cannot_run_is_said(cell, dtype, options, lacks):
    params = cell.init(jax.random.key(0), dtype=dtype)
    xs = jnp.ones((1, 3, 2), dtype)
    with pytest.raises(ValueError, match=rf'`backend` "native" cannot run \w+: {lacks}.*{HINT}'):
        jaxseq.scan(cell, params, xs, backend="native", **options)
    assert jaxseq.plan(cell, params, xs, **options).backend != "native"


def test_without_the_kernels_everything_runs_on_the_fused_path(monkeypatch):
    monkeypatch.setenv("JAXSEQ_NATIVE", "0")
    forget()
    cell = jaxseq.lstm(2, 3)
    params, xs, _ = random_example(cell, batch_shape=(2,), steps=40)
    assert jaxseq.plan(cell, params, xs).backend == "fused"
    with pytest.raises(ValueError, match="jaxseq-native is not installed"):
        jaxseq.scan(cell, params, xs, backend="native")
    forget()


@kernels
def test_kernels_of_another_version_are_left_alone(monkeypatch):
    cell = jaxseq.lstm(2, 3)
    params, xs, _ = random_example(cell, batch_shape=(2,), steps=4)
    monkeypatch.delattr(_native.library(), "INTERFACE")  # as they were before there was a number
    assert jaxseq.plan(cell, params, xs).backend == "fused"
    with pytest.raises(ValueError, match=f"has interface 1, and 2 is needed, so install.*{HINT}"):
        jaxseq.scan(cell, params, xs, backend="native")


@kernels
def test_on_another_device_it_is_never_chosen(monkeypatch):
    cell = jaxseq.lstm(2, 3)
    params, xs, carry = random_example(cell, batch_shape=(2,), steps=3)
    assert _native.obstacle(cell, params, xs, carry) is None
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert _native.obstacle(cell, params, xs, carry) == "it runs on a CPU, and this is gpu"
