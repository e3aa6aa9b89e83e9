"""The pictures: what is on them, and that they need nothing but axes."""

import sys

import jax.numpy as jnp
import numpy as np
import pytest

from jaxseq import diagnostics
from jaxseq.cells import GRUCarry, LSTMCarry

plt = pytest.importorskip("matplotlib.pyplot", reason="pictures need matplotlib")


@pytest.fixture(autouse=True)
def no_screen():
    plt.switch_backend("agg")
    yield
    plt.close("all")


def flow_of(*gradients):
    layers = tuple(diagnostics.StateGradient("gru", k == 1, g) for k, g in enumerate(gradients))
    return diagnostics.GradientFlow(jnp.array(0.0), layers)


def test_a_line_is_the_median_of_the_rows_that_are_so_long():
    gradient = jnp.array([[[3.0, 4.0]] * 4, [[6.0, 8.0]] * 2 + [[0.0, 0.0]] * 2])
    ax = diagnostics.plot_gradient_flow(flow_of(GRUCarry(gradient)))
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_ydata(), [7.5, 7.5, 5.0, 5.0])
    assert ax.get_legend() is None and ax.get_xlabel() == "step t of the state"


def test_layers_fields_and_names_are_told_apart():
    lstm = LSTMCarry(jnp.ones((5, 2)), jnp.ones((5, 2)))
    ax = diagnostics.plot_gradient_flow(flow_of(lstm, GRUCarry(jnp.ones((5, 2)))))
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["layer 0 (gru) h", "layer 0 (gru) c", "layer 1 (gru, backward) h"]
    flows = {name: flow_of(GRUCarry(jnp.ones((5, 2)))) for name in ("one", "other")}
    _, mine = plt.subplots()
    ax = diagnostics.plot_gradient_flow(flows, ax=mine)
    assert ax is mine and len({line.get_color() for line in ax.lines}) == 2
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["one h", "other h"]


def test_an_influence_is_a_map_of_its_norms():
    norms = np.tril(np.ones((2, 4, 4))) * np.array([1.0, 3.0])[:, None, None]
    layer = diagnostics.StateGradient("gru", False, GRUCarry(jnp.asarray(norms)))
    for row, value in ((None, 2.0), (1, 3.0)):
        image = diagnostics.plot_influence(layer, row=row).images[0].get_array()
        np.testing.assert_allclose(np.nanmax(image), value)
        assert np.ma.getmaskarray(np.ma.masked_invalid(image))[0, 3]
    empty = diagnostics.StateGradient("gru", False, GRUCarry(jnp.zeros((3, 3))))
    assert diagnostics.plot_influence(empty).get_ylabel() == "step t of the loss"
    with pytest.raises(ValueError, match=r"^plot_influence: the carry of gru has no field 'c'"):
        diagnostics.plot_influence(layer, field="c")


def test_saturation_is_in_per_cent():
    one = diagnostics.saturation(np.array([[0.0, 1.0], [1.0, 1.0]]), bounds=(0.0, 1.0))
    ax = diagnostics.plot_saturation({"forget": one})
    high, low = ax.lines
    assert high.get_ydata().tolist() == [50, 100] and low.get_ydata().tolist() == [50, 0]


def test_truncation_has_its_windows_on_the_axis():
    found = diagnostics.TruncationError((1, 30), jnp.array([0.5, 0.1]), jnp.array([0.5, 1.0]))
    ax = diagnostics.plot_truncation_error(found)
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "30"]
    np.testing.assert_allclose(ax.lines[1].get_ydata(), [0.5, 0.0])


def test_without_matplotlib_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(
        ImportError, match=r"matplotlib, which draws, is not installed.\n.*jaxseq\[plot"
    ):
        diagnostics.plot_saturation({})
