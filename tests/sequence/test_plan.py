"""What a plan says against what a scan does."""

import jax
import jax.numpy as jnp
import pytest

import jaxseq
from jaxseq.sequence import _runner
from jaxseq.sequence._schedule import Schedule

CELLS = {"elman": jaxseq.elman(3, 4), "gru": jaxseq.gru(3, 4), "lstm": jaxseq.lstm(3, 4)}
GATES = {"elman": 1, "gru": 3, "lstm": 4}


def planned(cell, shape=(2, 8, 3), **options):
    params = jax.eval_shape(cell.init, jax.random.key(0))
    return jaxseq.plan(cell, params, jnp.zeros(shape), **options)


@pytest.mark.parametrize("backend", ["fused", "reference"])
@pytest.mark.parametrize("kind", CELLS)
def test_the_products_are_counted_in_full(kind, backend):
    plan = planned(CELLS[kind], (5, 8, 3), backend=backend)
    forward = 2 * 5 * 8 * 4 * GATES[kind] * (3 + 4)
    assert plan.forward.flops == forward
    # The gradients of the weights are as many again, and those of the inputs and states too.
    assert plan.backward.flops == 2 * forward


def test_products_that_are_done_again_are_counted_again():
    once, twice = (planned(CELLS["gru"], (5, 8, 3), remat=r).backward.flops for r in (None, 2))
    assert twice == once + planned(CELLS["gru"], (5, 8, 3)).forward.flops


@pytest.mark.parametrize("kind", CELLS)
def test_what_the_backward_pass_keeps_is_counted_in_bytes(kind):
    plan = planned(CELLS[kind], (5, 64, 3))
    states, values = {"elman": (1, 1), "gru": (1, 4), "lstm": (2, 4)}[kind]
    least = 4 * 5 * 64 * 4 * (states + values)
    inputs = 4 * 5 * 64 * 3
    assert least <= plan.kept_bytes <= least + inputs + 4096


def test_remat_keeps_less_in_the_order_of_its_policies():
    kept = [planned(CELLS["lstm"], (3, 100, 3), remat=r).kept_bytes for r in (None, 1, "sqrt")]
    assert kept[0] > 1.5 * kept[1] > 1.5 * kept[2]


def test_kept_bytes_are_what_the_gradient_of_a_compiled_scan_needs():
    cell = jaxseq.lstm(8, 32)
    params, xs = cell.init(jax.random.key(0)), jnp.zeros((4, 1024, 8))

    def measured(remat):
        def loss(params, xs):
            return jnp.sum(jaxseq.scan(cell, params, xs, remat=remat)[0].h)

        compiled = jax.jit(jax.grad(loss)).lower(params, xs).compile()
        return compiled.memory_analysis().temp_size_in_bytes

    for remat in (None, "sqrt"):
        kept = jaxseq.plan(cell, params, xs, remat=remat).kept_bytes
        # Beside what is kept there are the cotangents of a loop and a copy of the inputs.
        assert 0.9 * kept < measured(remat) < 2.5 * kept + 2e6


def test_a_plan_names_the_backend_and_the_reason_for_each_cell():
    mixed = jaxseq.stack([jaxseq.gru(3, 4), jaxseq.gru(4, 4, reset_after=False)])
    plan = planned(mixed)
    assert plan.backend == "mixed"
    assert [layer.backend for layer in plan.layers] == ["fused", "reference"]
    assert "does not decompose" in plan.why.splitlines()[1]
    assert plan.layers[0].schedules.infer == Schedule(hoist=False)  # few values, taken apart
    assert plan.layers[1].schedules is None
    assert planned(CELLS["gru"], backend="reference").layers[0].why == "named by the caller"


@pytest.mark.parametrize("cell", [jaxseq.lru(3, 4, 5), jaxseq.min_gru(3, 4)])
def test_the_loop_of_a_linear_recurrence_is_counted_and_its_scan_has_none(cell):
    in_order, at_once = (planned(cell, backend=b) for b in ("fused", "associative"))
    step_by_step = planned(cell, backend="reference")
    for work in ("forward", "backward"):
        operations = getattr(in_order, work).loop_operations
        assert 0 < operations < getattr(step_by_step, work).loop_operations
        assert getattr(at_once, work).loop_operations == 0
        assert getattr(in_order, work).flops == getattr(step_by_step, work).flops


def test_a_plan_is_a_few_lines_to_read():
    text = str(planned(CELLS["lstm"]))
    assert "backend fused" in text and "operations in loop bodies" in text
    assert len(text.splitlines()) == 4


def test_what_a_scan_refuses_a_plan_refuses():
    cell = jaxseq.gru(3, 4, reset_after=False)
    with pytest.raises(ValueError, match=r'plan: `backend` "fused" needs a cell that decomposes'):
        planned(cell, backend="fused")
    with pytest.raises(ValueError, match="plan: `xs` must have shape"):
        planned(CELLS["gru"], (2, 8, 5))
    with pytest.raises(ValueError, match="plan: `unroll` must be a positive integer"):
        planned(CELLS["gru"], unroll=0)


def test_equal_keys_share_one_compiled_program():
    cell = jaxseq.elman(3, 5)
    params = cell.init(jax.random.key(0))
    shapes = ((2, 6, 3), (2, 6, 3), (2, 7, 3))
    keys = [jaxseq.plan(cell, params, jnp.zeros(shape)).key for shape in shapes]
    assert keys[0] == keys[1] != keys[2]
    assert len({*keys}) == 2
    before = _runner.run_scan._cache_size()
    for shape in shapes:
        jaxseq.scan(cell, params, jnp.zeros(shape))
    assert _runner.run_scan._cache_size() == before + 2
