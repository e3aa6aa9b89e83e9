import os
import subprocess
import sys
import textwrap

import jax
import jax.numpy as jnp
import pytest

from jaxseq.training import make_step

SHARDED = """
import sys, pickle, warnings
warnings.simplefilter("error")
import jax, jax.numpy as jnp, numpy as np, optax
from jax.sharding import AxisType, NamedSharding, PartitionSpec
from jaxseq.training import Checkpoints, init_state, make_evaluate, make_step

def loss(params, carry, batch, key):
    def advance(h, x):
        h = jnp.tanh(x @ params["w"] + h @ params["u"])
        return h, h
    h, ys = jax.lax.scan(advance, carry, jnp.swapaxes(batch["x"], 0, 1))
    mask = batch["mask"].astype(jnp.float32)
    return (jnp.sum(mask * jnp.sum(ys**2, (0, 2))), jnp.sum(mask)), h

def run(mesh, kind="mesh"):
    rng = np.random.default_rng(0)
    shapes = {"w": (2, 3), "u": (3, 3)}
    params = {name: jnp.asarray(rng.normal(size=shapes[name]), "float32") for name in shapes}
    optimizer = optax.adam(0.05)
    state = init_state(params, optimizer, key=jax.random.key(0), carry=jnp.zeros((16, 3)))
    step = make_step(loss, optimizer, max_norm=0.5, mesh=mesh)
    losses = []
    for number in range(3):
        batch = {"x": rng.normal(size=(16, 4, 2)).astype("float32"), "mask": np.arange(16) % 5 > 0}
        if kind == "committed":
            batch = jax.device_put(batch, jax.devices()[0])
        if kind == "spread" and mesh is not None:
            batch = jax.device_put(batch, NamedSharding(mesh, PartitionSpec("data")))
        state, metrics = step(state, batch)
        losses.append(float(metrics.loss))
        if kind == "restored" and number == 1:
            with Checkpoints(sys.argv[1]) as checkpoints:
                checkpoints.save(state)
                state, _ = checkpoints.restore(init_state(
                    params, optimizer, key=jax.random.key(0), carry=jnp.zeros((16, 3))))
    total = make_evaluate(loss, mesh=mesh)(state.params, jnp.zeros((16, 3)), [batch])
    return losses, jax.tree.map(np.asarray, state._replace(key=0)), total, state

assert len(jax.devices()) == 8
losses, plain, total, _ = run(None)
meshes = {
    "auto": jax.make_mesh((8,), ("data",), axis_types=(AxisType.Auto,)),
    "explicit": jax.make_mesh((8,), ("data",), axis_types=(AxisType.Explicit,)),
    "two axes": jax.make_mesh((4, 2), ("data", "model")),
}
cases = [(mesh, "mesh") for mesh in meshes]
cases += [("auto", "committed"), ("explicit", "spread"), ("auto", "restored")]
for name, kind in cases:
    other_losses, other, other_total, state = run(meshes[name], kind)
    np.testing.assert_allclose(other_losses, losses, rtol=1e-5)
    np.testing.assert_allclose(other_total, total, rtol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-5), other, plain)
    assert state.params["w"].sharding.is_fully_replicated
    assert len(state.carry.sharding.device_set) == 8
    print(name, kind, state.carry.sharding.spec)
try:
    run(jax.make_mesh((3,), ("data",), devices=jax.devices()[:3]))
except ValueError as error:
    print(error)
"""


@pytest.mark.slow
def test_a_run_on_eight_devices_equals_the_one_on_one(tmp_path):
    flags = "--xla_force_host_platform_device_count=8"
    environment = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SHARDED), tmp_path / "run"],
        env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "make_step: the batch must have a number of rows that is a multiple of 3" in done.stdout
    assert "auto mesh PartitionSpec('data'" in done.stdout.replace("P('", "PartitionSpec('")


def line(params, carry, batch, key):
    return (jnp.sum(params * batch), jnp.array(1.0)), carry


def test_a_mesh_of_one_changes_nothing(step, loss, state, batches, optimizer, same):
    mesh = jax.make_mesh((1,), ("data",))
    batch = next(batches())
    there, _ = make_step(loss, optimizer, max_norm=1.0, mesh=mesh, donate=False)(state, batch)
    here, _ = step(state, batch)
    same(there.key, here.key)
    assert jnp.allclose(there.params["w_hh"], here.params["w_hh"], atol=1e-6)


def test_a_leaf_without_rows_is_refused(state, optimizer):
    step = make_step(line, optimizer, mesh=jax.make_mesh((1,), ("data",)))
    message = (
        r"make_step: the batch must have a number of rows that is a multiple of 1, the size of the "
        r"mesh's axis 'data', but it has a leaf of shape \(\)\.\n  Hint: choose another batch size"
    )
    with pytest.raises(ValueError, match=message):
        step(state, jnp.array(1.0))


def test_an_axis_that_the_mesh_lacks_is_refused(optimizer):
    message = r"make_step: `axis` must be one of the mesh's axes \('data',\), but it is 'rows'"
    with pytest.raises(ValueError, match=message):
        make_step(line, optimizer, mesh=jax.make_mesh((1,), ("data",)), axis="rows")
