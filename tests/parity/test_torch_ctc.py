"""The CTC loss is what PyTorch computes, to 1e-10, with its gradient."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from make_ctc_fixture import BLANKS, FIXTURE, compute

from jaxseq.structured import ctc


def load():
    with np.load(FIXTURE) as recorded:
        return dict(recorded)


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize("blank", BLANKS)
def test_the_ctc_loss_is_what_torch_computes(blank):
    recorded = load()

    def weighted(logits, infeasible):
        loss = ctc.loss(
            jax.nn.log_softmax(logits),
            jnp.array(recorded["labels"]),
            lengths=jnp.array(recorded["lengths"]),
            label_lengths=jnp.array(recorded["label_lengths"]),
            blank=blank,
            infeasible=infeasible,
        )
        return (loss.nats * recorded["weights"]).sum(), loss

    logits = jnp.array(recorded["logits"])
    gradient, loss = jax.jit(jax.grad(weighted, has_aux=True), static_argnums=1)(logits, "zero")
    assert loss.infeasible.tolist() == [False, False, False, True, True]
    np.testing.assert_allclose(loss.nats, recorded[f"nats_blank{blank}_zero"], rtol=1e-10)
    np.testing.assert_allclose(gradient, recorded[f"grad_blank{blank}_zero"], 1e-10, 1e-12)
    infinite = weighted(logits, "inf")[1]
    np.testing.assert_allclose(infinite.nats, recorded[f"nats_blank{blank}_inf"], rtol=1e-10)


def test_the_fixture_is_what_the_installed_torch_computes():
    pytest.importorskip("torch", reason="PyTorch is not installed: only its recording is compared")
    recorded = load()
    for name, value in compute(recorded).items():
        np.testing.assert_allclose(recorded[name], value, 1e-10, 1e-12, err_msg=name)
