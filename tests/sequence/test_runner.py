"""Which loop each cell runs on, what a combinator is told of the run, and what is refused."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxseq
from jaxseq.cells import Run
from jaxseq.sequence import _runner

DECOMPOSES = jaxseq.gru(2, 3)
NEITHER = jaxseq.gru(2, 3, reset_after=False)
LINEAR = jaxseq.min_gru(2, 3)
HINT = 'Hint: leave it at "auto", which runs each cell on the fastest loop that it can.'


def runner(lengths=None, *, reverse=False):
    """A run over two rows of three steps."""
    options = _runner.Options("f", "auto", reverse, window=None, unroll=1)
    valid = None
    if lengths is not None:
        valid = jnp.asarray(np.arange(3)[:, None] < np.array(lengths))
    return _runner.Runner(options, jnp.ones((3, 2, 2)), valid, None)


@pytest.mark.parametrize(
    ("cell", "backend", "device", "expected"),
    [
        (DECOMPOSES, "auto", "cpu", "fused"),
        (DECOMPOSES, "auto", "gpu", "fused"),
        (DECOMPOSES, "fused", "cpu", "fused"),
        (DECOMPOSES, "reference", "cpu", "reference"),
        (NEITHER, "auto", "cpu", "reference"),
        (LINEAR, "auto", "cpu", "fused"),
        (LINEAR, "auto", "gpu", "associative"),
        (LINEAR, "fused", "gpu", "fused"),
        (LINEAR, "associative", "cpu", "associative"),
        (LINEAR, "reference", "gpu", "reference"),
    ],
)
def test_a_cell_runs_on_the_loop_named_or_the_fastest_that_can(
    cell, backend, device, expected, monkeypatch
):
    monkeypatch.setattr(jax, "default_backend", lambda: device)
    choice = _runner.choose("f", backend, cell, lacks="no kernel")
    assert choice.backend == expected
    assert (choice.why == "named by the caller") == (backend != "auto")


def test_an_automatic_choice_says_why(monkeypatch):
    def why(cell):
        return _runner.choose("f", "auto", cell, lacks="no kernel").why

    assert why(DECOMPOSES) == "decomposes into two maps and an update"
    assert why(NEITHER) == "does not decompose into maps"
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert why(LINEAR) == "a linear recurrence; on a CPU one step after the other"
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert why(LINEAR) == "a linear recurrence; log2(T) rounds suit the device"


@pytest.mark.parametrize(("cell", "share"), [(DECOMPOSES, 0.0), (jaxseq.lstm(2, 3), 1.0)])
def test_gates_are_kept_on_a_cpu_and_what_the_maps_give_elsewhere(cell, share, monkeypatch):
    params = cell.init(jax.random.key(0))
    arguments = cell, params, jnp.ones((3, 2, 2)), cell.carry(params, (2,))
    monkeypatch.setattr(jax, "default_backend", lambda: "cpu")
    assert runner()._loop(*arguments).maps == cell.maps
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    maps = runner()._loop(*arguments).maps
    assert maps.gates is None and maps.additive == share


@pytest.mark.parametrize(
    ("backend", "cell", "message"),
    [
        (
            "fused",
            NEITHER,
            '"fused" needs a cell that decomposes into maps, or a linear recurrence, but gru is',
        ),
        ("associative", NEITHER, '"associative" needs a linear recurrence, but gru is'),
        ("associative", DECOMPOSES, '"associative" needs a linear recurrence, but gru is'),
        (
            "fused",
            jaxseq.stack([DECOMPOSES, jaxseq.residual(jaxseq.gru(3, 3, reset_after=False))]),
            '"fused" needs a cell that decomposes into maps, or a linear recurrence, but gru is',
        ),
        (
            "associative",
            jaxseq.dropout(jaxseq.stack([LINEAR, jaxseq.elman(3, 3)]), 0.5),
            '"associative" needs a linear recurrence, but elman is',
        ),
    ],
    ids=["fused", "associative", "associative, maps", "fused, inside", "associative, inside"],
)
def test_a_named_loop_that_cannot_run_a_cell_refuses_it_by_name(backend, cell, message):
    params = jax.eval_shape(cell.init, jax.random.key(0))
    message = f"scan: `backend` {message} not one.\n  {HINT}"
    with pytest.raises(ValueError, match=re.escape(message)):
        jax.eval_shape(
            lambda params: jaxseq.scan(cell, params, jnp.ones((4, 2)), backend=backend), params
        )


@pytest.mark.parametrize("given", ["state_mask", "hold"])
@pytest.mark.parametrize(
    "inner", [NEITHER, LINEAR, jaxseq.stack([DECOMPOSES])], ids=lambda cell: cell.name
)
def test_only_a_cell_with_maps_has_its_state_masked_or_held(inner, given):
    """A combinator that asks for more than the cell inside can do is told so."""

    def unfold(run, params, carry, xs):
        of_state = jnp.ones(3) if given == "state_mask" else carry
        return run(inner, params, carry, xs, **{given: of_state})

    cell = inner._replace(name="wrapped", unfold=unfold, linear=None)
    message = f"scan: a mask or a hold on the state needs a cell with maps, but {inner.name} has"
    params = inner.init(jax.random.key(0))
    with pytest.raises(ValueError, match=re.escape(message + " none.")):
        jaxseq.scan(cell, params, jnp.ones((4, 2)))
    # The specification runs the step, and asks for nothing.
    assert jaxseq.scan(cell, params, jnp.ones((4, 2)), backend="reference")[1].shape == (4, 3)


@pytest.mark.parametrize(
    ("lengths", "reverse", "before", "steps"),
    [
        (None, False, [[0, 0], [1, 1], [2, 2]], [3, 3]),
        (None, True, [[2, 2], [1, 1], [0, 0]], [3, 3]),
        ([2, 3], False, [[0, 0], [1, 1], [None, 2]], [2, 3]),
        ([0, 2], True, [[None, 1], [None, 0], [None, None]], [0, 2]),
    ],
)
def test_a_run_counts_the_steps_before_each_in_its_own_order(lengths, reverse, before, steps):
    run = runner(lengths, reverse=reverse)
    assert isinstance(run, Run)
    assert run.steps.tolist() == steps
    assert run.steps_before.shape == (3, 2) and run.steps_before.dtype == jnp.int32
    for row, expected in zip(run.steps_before.tolist(), before, strict=True):
        for actual, count in zip(row, expected, strict=True):
            assert count in (None, actual)  # in the padding it means nothing


@pytest.mark.parametrize("backend", ["auto", "reference"])
@pytest.mark.parametrize("cell", [DECOMPOSES, NEITHER, LINEAR], ids=["fused", "plain", "linear"])
def test_outputs_in_the_padding_are_zero_and_a_row_of_length_zero_keeps_its_carry(cell, backend):
    params = cell.init(jax.random.key(0))
    carry = jax.tree.map(jnp.ones_like, cell.carry(params, (2,)))
    xs = jnp.full((2, 3, 2), jnp.nan).at[0, :2].set(1.0)
    after, ys = jaxseq.scan(
        cell, params, xs, carry=carry, lengths=jnp.array([2, 0]), backend=backend
    )
    assert np.isfinite(ys).all() and not np.any(ys[1]) and not np.any(ys[0, 2])
    assert np.all(jax.tree.leaves(after)[0][1] == 1.0)


def test_what_a_combinator_adds_to_the_padding_is_taken_away():
    cell = jaxseq.gru(2, 2)

    def step(params, carry, x):
        carry, y = cell.step(params, carry, x)
        return carry, y + 1

    def unfold(run, params, carry, xs):
        carry, ys = run(cell, params, carry, xs)
        return carry, ys + 1

    raised = cell._replace(name="raised", step=step, maps=None, unfold=unfold)
    params, xs = cell.init(jax.random.key(0)), jnp.ones((1, 3, 2))
    _, ys = jaxseq.scan(raised, params, xs, lengths=jnp.array([1]))
    assert (ys[0, 0] != 0).all() and (ys[0, 1:] == 0).all()
