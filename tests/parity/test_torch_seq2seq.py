"""The translator computes what PyTorch's modules compute, to 1e-10: logits, looks, gradients."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from make_seq2seq_fixture import (
    CASES,
    EMBED,
    HIDDEN,
    LENGTHS,
    SOURCE_LENGTHS,
    SOURCE_SIZE,
    TARGET_SIZE,
    Case,
    compute,
    load,
    of,
)

from jaxseq import nn

CELLS = {"LSTM": "lstm", "GRU": "gru", "RNN": "elman"}
NAMES = {"weight_ih": "w_ih", "weight_hh": "w_hh", "bias_ih": "b_ih", "bias_hh": "b_hh"}


def build(case: Case) -> nn.Seq2Seq:
    return nn.Seq2Seq(
        SOURCE_SIZE,
        TARGET_SIZE,
        EMBED,
        HIDDEN,
        case.layers[1],
        encoder_layers=case.layers[0],
        cell=CELLS[case.cell],
        attention=case.attention,
        input_feeding=case.feeding,
        tied=case.tied,
        rngs=jax.random.key(0),
    )


def stacked(w: dict) -> dict:
    """A stack's weights in our names: torch's order of layers and directions is ours."""
    found: dict = {}
    for name, leaf in w.items():
        theirs, _, suffix = name.partition("_l")
        found.setdefault(suffix, {})[NAMES[theirs]] = leaf
    return {str(k): layer for k, layer in enumerate(found.values())}


def params_of(w: dict) -> dict:
    own = ("w_key", "w_query", "weight")
    decoder = {
        "rnn": {"layers": stacked(of(w, "decoder."))},
        "asker": {name: w[name] for name in own if name in w},
        "embedding": w["target"],
    }
    decoder |= {k: w[k] for k in ("w_attended", "b_attended", "projection", "bias") if k in w}
    if not decoder["asker"]:
        del decoder["asker"]
    reader = {"embedding": w["source"], "rnn": {"layers": stacked(of(w, "encoder."))}}
    return {"decoder": decoder, "encoder": {"reader": reader, "bridge": of(w, "bridge.")}}


@pytest.mark.usefixtures("x64")
@pytest.mark.parametrize(
    "case",
    [case if case.cell == "LSTM" else pytest.param(case, marks=pytest.mark.slow) for case in CASES],
    ids=lambda case: case.name,
)
def test_the_translator_computes_what_torch_computes(case):
    recorded, model = load(case), nnx.eval_shape(lambda: build(case))
    source_pads = np.arange(SOURCE_LENGTHS.max()) >= SOURCE_LENGTHS[:, None]
    pads = np.arange(LENGTHS.max()) >= LENGTHS[:, None]
    symbols = np.where(source_pads, -9, recorded["symbols"])
    read = np.where(pads, 99, recorded["read"])
    lengths = {"source_lengths": SOURCE_LENGTHS, "lengths": LENGTHS}

    def loss(w):
        logits = nn.with_params(model, params_of(w))(symbols, read, **lengths)
        return (recorded["cotangent"] * logits).sum(), logits

    @jax.jit
    def run(w):
        gradient, logits = jax.grad(loss, has_aux=True)(w)
        looks = nn.with_params(model, params_of(w)).alignments(symbols, read, **lengths)
        return gradient, {"logits": logits, "weights": looks}

    gradient, found = run(jax.tree.map(jnp.asarray, of(recorded, "w/")))
    for name, leaf in found.items():
        assert leaf.dtype == jnp.float64
        np.testing.assert_allclose(leaf[~pads], recorded[name][~pads], 1e-10, 1e-12, err_msg=name)
    assert set(gradient) == set(of(recorded, "grad/"))
    for name, leaf in gradient.items():
        np.testing.assert_allclose(leaf, recorded[f"grad/{name}"], 1e-10, 1e-12, err_msg=name)


def test_the_fixture_is_what_the_installed_torch_computes():
    pytest.importorskip("torch", reason="PyTorch is not installed: only its recording is compared")
    for case in CASES:
        recorded = load(case)
        for name, value in compute(case, recorded).items():
            np.testing.assert_allclose(recorded[name], value, 1e-10, 1e-12, err_msg=name)
