import contextlib
import json
import os
import resource
import shutil
import time
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jaxseq._checks import InputError
from jaxseq.training import Checkpoints, init_state
from jaxseq.training._store import Store, StoreError


def after(state, step):
    """The same state, some steps later."""
    params = jax.tree.map(lambda leaf: leaf + step, state.params)
    return state._replace(step=jnp.int32(step), params=params)


@pytest.fixture
def saved(tmp_path, state):
    """Three checkpoints, of which the second is the best and the last the latest."""
    with Checkpoints(tmp_path / "run") as checkpoints:
        for step, metric in ((1, 0.7), (2, 0.5), (3, 0.6)):
            checkpoints.save(after(state, step), extra={"at": step}, metric=metric)
        yield checkpoints


def numbers(directory):
    return sorted(path.name for path in directory.iterdir())


def test_what_is_saved_comes_back_to_the_bit(saved, state, same):
    restored, extra = saved.restore(state)
    same(restored, after(state, 3))
    assert extra == {"at": 3}


def test_a_description_is_enough_to_restore(saved, state, same):
    forms = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), state)
    same(Checkpoints(saved.directory).restore(forms)[0], after(state, 3))


def test_a_donated_state_is_enough_to_restore(saved, state, same):
    expected = after(state, 3)
    jax.tree.map(lambda leaf: leaf.delete(), state.params)
    same(saved.restore(state)[0], expected)


def test_the_latest_and_the_best_are_kept(saved, state, same):
    assert numbers(saved.directory) == ["2", "3"]
    same(saved.restore(state, which="best")[0], after(state, 2))


def test_a_directory_opened_again_remembers_its_best(saved, state):
    with Checkpoints(saved.directory) as again:
        again.save(after(state, 4), metric=0.9)
        assert numbers(saved.directory) == ["2", "4"]
        again.save(after(state, 5), metric=0.1)
        assert numbers(saved.directory) == ["5"]


@pytest.mark.parametrize("metric", [None, float("nan"), float("inf")])
def test_what_has_no_finite_metric_is_never_the_best(saved, state, metric):
    saved.save(after(state, 4), metric=metric)
    saved.save(after(state, 5), metric=metric)
    assert numbers(saved.directory) == ["2", "5"]


def test_params_alone_need_no_optimizer(saved, state, same):
    same(saved.restore_params(state.params), after(state, 3).params)
    same(saved.restore_params(state.params, which="best"), after(state, 2).params)


def test_a_reader_sees_what_another_process_has_written_since(saved, state):
    reader = Checkpoints(saved.directory)
    assert int(reader.restore(state)[0].step) == 3
    saved.save(after(state, 4))
    assert int(reader.restore(state)[0].step) == 4


def test_all_kinds_of_leaves_come_back(tmp_path, same):
    params = {
        "half": jnp.ones((2, 3), jnp.bfloat16) / 3,
        "none": jnp.zeros((0, 4)),
        "number": jnp.array(True),
        "nothing": (),
        "odd name / with . signs": jnp.arange(3),
    }
    carry = {"rng": jax.random.split(jax.random.key(1, impl="rbg"), 2)}
    state = init_state(params, optax.identity(), key=jax.random.key(5), carry=carry)
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state)
        restored, extra = checkpoints.restore(state)
    same(restored, state)
    assert jax.random.key_impl(restored.carry["rng"]) == "rbg"
    assert extra == {}


def test_saving_a_small_model_takes_less_than_a_second(saved, state):
    started = time.monotonic()
    saved.save(after(state, 4))
    assert time.monotonic() - started < 1.0


def test_nothing_is_there_before_the_first_save(tmp_path, state):
    checkpoints = Checkpoints(tmp_path / "run")
    assert not checkpoints.exists
    assert not (tmp_path / "run").exists()
    with pytest.raises(
        InputError,
        match=r"Checkpoints.restore: there is no checkpoint in .*run\.\n  Hint: check the direct",
    ):
        checkpoints.restore(state)


def test_without_metrics_there_is_no_best(tmp_path, state):
    with Checkpoints(tmp_path) as checkpoints:
        checkpoints.save(state)
        with pytest.raises(InputError, match="was saved with a metric, so none is the best"):
            checkpoints.restore(state, which="best")


def test_another_choice_than_latest_or_best_is_refused(saved, state, untyped):
    with pytest.raises(ValueError, match="`which` must be 'latest' or 'best', but it is 'last'"):
        saved.restore(state, which="last")


@pytest.mark.parametrize("step", [2, 3])
def test_a_step_is_not_saved_over_a_later_one(saved, state, step):
    message = rf"`state` is of step {step}, but .* has a checkpoint of step 3 already\.\n  Hint"
    with pytest.raises(ValueError, match=message):
        saved.save(after(state, step))


def test_an_extra_that_json_cannot_hold_is_refused(saved, state):
    with pytest.raises(TypeError, match="`extra` must be something that JSON can hold, but Obj"):
        saved.save(after(state, 4), extra={"bad": object()})
    assert numbers(saved.directory) == ["2", "3"]


def changed(state, **params):
    return state._replace(params={**state.params, **params})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"w_hh": np.zeros((4, 5), "float32")},
         r"`params.w_hh` has shape \(4, 4\) and dtype float32 in the checkpoint, but shape "
         r"\(4, 5\) and dtype float32 in the model"),
        ({"b": np.zeros(4, "float16")},
         r"`params.b` has shape \(4,\) and dtype float32 in the checkpoint, but shape \(4,\) and"
         " dtype float16 in the model"),
        ({"new": np.zeros(2, "float32")},
         r"`params.new` is in the model \(shape \(2,\) and dtype float32\), but not in the check"),
    ],
)  # fmt: skip
def test_a_checkpoint_of_another_model_says_what_differs(saved, state, changes, message):
    for restore in (saved.restore, lambda like: saved.restore_params(like.params)):
        with pytest.raises(
            InputError, match=r"Checkpoints.restore: the checkpoint .*3 is of an"
        ) as e:
            restore(changed(state, **changes))
        assert e.match(message)
        assert e.match("Hint: build model and optimizer with the settings of that run")


def test_a_checkpoint_with_more_in_it_says_what(saved, state):
    params = {name: leaf for name, leaf in state.params.items() if name != "b"}
    with pytest.raises(InputError, match=r"`params.b` is in the checkpoint .*, but not in the mod"):
        saved.restore(state._replace(params=params))


def test_a_checkpoint_with_another_optimizer_says_so(saved, params):
    other = init_state(
        params, optax.sgd(0.1), key=jax.random.key(0), carry={"h": jnp.zeros((8, 4))}
    )
    with pytest.raises(InputError, match=r"`opt_state.0.count` is in the checkpoint"):
        saved.restore(other)


def test_a_checkpoint_with_another_kind_of_key_says_so(saved, state):
    with pytest.raises(InputError, match=r"`key` has shape \(\) and dtype key<fry> in the checkp"):
        saved.restore(state._replace(key=jax.random.key(0, impl="rbg")))


def files(directory):
    return sorted(path for path in directory.rglob("*") if path.is_file())


def harm(path, how):
    content = path.read_bytes()
    middle = len(content) // 2
    if how == "cut":
        path.write_bytes(content[:middle])
    elif how == "flip":
        path.write_bytes(content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :])
    else:
        path.unlink()


@pytest.mark.parametrize("how", ["cut", "flip", "delete"])
@pytest.mark.slow
def test_a_damaged_file_is_noticed_or_does_not_matter(saved, state, tmp_path, same, how):
    noticed = 0
    for path in files(saved.directory / "3"):
        copy = tmp_path / "copy"
        shutil.copytree(saved.directory, copy)
        harm(copy / path.relative_to(saved.directory), how)
        try:
            restored, _ = Checkpoints(copy).restore(state)
        except InputError as error:
            noticed += 1
            text = str(error)
            assert text.startswith(f"Checkpoints.restore: the checkpoint {copy / '3'} is damaged: ")
            assert text.endswith("\n  Hint: delete that directory and resume from step 2.")
            assert text.count("\n") == 1
        else:
            same(restored, after(state, 3))
        shutil.rmtree(copy)
    assert noticed >= 3


def test_the_other_checkpoint_is_used_once_a_damaged_one_is_deleted(saved, state):
    shutil.rmtree(saved.directory / "3")
    assert int(Checkpoints(saved.directory).restore(state)[0].step) == 2


def test_numbers_that_have_changed_are_named(saved, state):
    page = saved.directory / "3" / "about" / "metadata"
    about = json.loads(page.read_text())
    about["page"]["params"][0][-1] += 1
    about["checksum"] = zlib.crc32(json.dumps(about["page"]).encode())
    page.write_text(json.dumps(about))
    with pytest.raises(InputError, match=r"is damaged: the numbers of `params\.b` have changed"):
        saved.restore(state)


def test_a_description_that_has_changed_is_noticed(saved, state):
    page = saved.directory / "3" / "about" / "metadata"
    page.write_text(page.read_text().replace('"at": 3', '"at": 2'))
    with pytest.raises(InputError, match="is damaged: its description has changed"):
        saved.restore(state)


def test_a_directory_that_cannot_be_read_is_named(tmp_path, monkeypatch):
    def fail(store):
        raise StoreError("no permission")

    monkeypatch.setattr(Store, "steps", fail)
    with pytest.raises(OSError, match=r"Checkpoints: the directory .* cannot be read: no permiss"):
        Checkpoints(tmp_path).exists  # noqa: B018 - a property that looks at the disk


def test_without_another_checkpoint_a_damaged_one_means_to_start_anew(saved, state):
    shutil.rmtree(saved.directory / "2")
    (saved.directory / "3" / "about" / "metadata").write_text("{}")
    with pytest.raises(InputError, match="and start anew: there is no other one"):
        saved.restore(state)


def test_a_checkpoint_of_another_version_says_so(saved, state):
    page = saved.directory / "3" / "about" / "metadata"
    page.write_text(json.dumps({**json.loads(page.read_text()), "schema": 2}))
    with pytest.raises(InputError, match="has version 2, but this jaxseq reads version 1"):
        saved.restore(state)


@contextlib.contextmanager
def files_limited_to(size):
    """Lets every write beyond some bytes fail, as on a disk that is full."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_the_checkpoints_of_before(saved, state, same, capfd):
    message = r"Checkpoints.save: the checkpoint of step 4 could not be written to .*run: "
    with pytest.raises(OSError, match=message) as caught, files_limited_to(64):
        saved.save(after(state, 4), metric=0.1)
    assert caught.match("Hint: the checkpoints of before are still there; make room and resume")
    assert not isinstance(caught.value, InputError)
    assert capfd.readouterr().err == ""
    for checkpoints in (saved, Checkpoints(saved.directory)):
        same(checkpoints.restore(state)[0], after(state, 3))
        same(checkpoints.restore(state, which="best")[0], after(state, 2))
    saved.save(after(state, 5), metric=0.2)
    assert numbers(saved.directory) == ["5"]


def test_what_a_crash_has_left_is_cleared_away_by_the_next_writer_only(saved, state):
    left = saved.directory / "9.orbax-checkpoint-tmp"
    left.mkdir()
    with Checkpoints(saved.directory) as again:
        again.restore(state)
        assert left.exists()
        again.save(after(state, 4))
        assert not left.exists()


def test_a_directory_that_cannot_be_written_is_named(tmp_path, state):
    (tmp_path / "file").touch()
    checkpoints = Checkpoints(tmp_path / "file" / "run")
    message = r"Checkpoints: the directory .*file/run cannot be written: Not a directory\.\n  Hint"
    for call in (checkpoints.prepare, lambda: checkpoints.save(state)):
        with pytest.raises(OSError, match=message):
            call()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_directory_without_permission_is_named(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(OSError, match="cannot be written: Permission denied"):
        Checkpoints(tmp_path / "run").prepare()
