import math
import os
import pathlib
import struct
import sys

import pytest

from jaxseq._checks import InputError
from jaxseq.training import Checkpoints, CSVLogger, EvaluationRecord, StepRecord, TensorBoardLogger
from jaxseq.training import fit as train
from jaxseq.training._loggers import Scalars, scalars_to


class Kept:
    """A logger that keeps what it is told."""

    def __init__(self):
        self.told = []

    def start(self, step, *, resume):
        self.told.append(("start", step, resume))

    def write(self, step, scalars):
        self.told.append((step, dict(scalars)))

    def close(self):
        self.told.append("close")


def rows(path):
    return [tuple(line.split(",")) for line in path.read_text().splitlines()[1:]]


def events(directory):
    """Every event in the files of a directory, read frame by frame."""
    from tensorboardX.proto import event_pb2

    found = []
    for path in sorted(directory.iterdir(), key=lambda path: path.suffix):
        content = path.read_bytes()
        while content:
            (size,) = struct.unpack("Q", content[:8])
            found.append(event_pb2.Event.FromString(content[12 : 12 + size]))
            content = content[16 + size :]
    return found


def scalars(directory):
    return [
        (event.step, value.tag, value.simple_value)
        for event in events(directory)
        for value in event.summary.value
    ]


def test_a_logger_is_told_of_every_step_and_evaluation_of_fit(state, step, batches):
    kept = Kept()
    options = {"evaluate": lambda params: 7.0, "evaluate_every": 2, "progress": False}
    result = train(state, step, batches(), steps=3, loggers=[kept], **options)
    assert kept.told[0] == ("start", 0, False) and kept.told[-1] == "close"
    steps = [told for told in kept.told[1:-1] if "loss" in told[1]]
    wanted = [record._asdict() for record in result.history.steps]
    assert steps == [(record.pop("step"), record) for record in wanted]
    assert [told for told in kept.told if told[1:] == ({"evaluation": 7.0},)] == [
        (2, {"evaluation": 7.0}),
        (3, {"evaluation": 7.0}),
    ]


def test_loggers_are_closed_whatever_happens(state, step, batches):
    class Failing(Kept):
        def write(self, step, scalars):
            raise OSError("no room")

    first, second, third = Kept(), Failing(), Kept()
    with pytest.raises(OSError, match="no room"):
        train(state, step, batches(), steps=3, loggers=[first, second, third], progress=False)
    assert first.told[-1] == second.told[-1] == third.told[-1] == "close"


def test_a_logger_that_cannot_start_leaves_the_others_closed():
    class Failing(Kept):
        def start(self, step, *, resume):
            raise OSError("no room")

    first = Kept()
    with pytest.raises(OSError, match="no room"), scalars_to([first, Failing()], 3, resume=True):
        pass
    assert first.told == [("start", 3, True), "close"]


@pytest.mark.parametrize("kind", [CSVLogger, TensorBoardLogger])
def test_a_resumed_run_has_each_step_once(kind, state, step, batches, tmp_path):
    place = tmp_path / "log"

    def run(steps, **more):
        with Checkpoints(tmp_path / "checkpoints") as checkpoints:
            options = {"checkpoints": checkpoints, "progress": False, "loggers": [kind(place)]}
            train(state, step, batches(), steps=steps, **options, **more)

    run(4)
    logger = kind(place)  # as if the run had gone on, and been killed before its next checkpoint
    logger.start(4, resume=True)
    logger.write(5, {"loss": 99.0})
    logger.close()
    run(6, resume=True)
    if kind is CSVLogger:
        found = [(int(number), value) for number, name, value in rows(place) if name == "loss"]
        assert [number for number, _ in found] == [1, 2, 3, 4, 5, 6]
        assert ("5", "loss", "99.0") not in rows(place)
    else:
        # TensorBoard itself drops what was written before a start, from the step of the start on.
        begins = [event.step for event in events(place) if event.HasField("session_log")]
        assert begins == [5, 5]
        losses = [number for number, name, _ in scalars(place) if name == "loss"]
        assert losses == [1, 2, 3, 4, 5, 5, 6]


@pytest.mark.parametrize("kind", [CSVLogger, TensorBoardLogger])
def test_a_log_that_is_there_is_not_overwritten(kind, tmp_path):
    logger = kind(tmp_path / "log")
    logger.start(0, resume=False)
    logger.write(1, {"loss": 1.0})
    logger.close()
    with pytest.raises(
        InputError, match=r"there is a log in .*log already\.\n  Hint: continue its"
    ):
        kind(tmp_path / "log").start(0, resume=False)


def test_a_csv_log_keeps_whole_lines_of_steps_that_stay(tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("step,name,value\n1,loss,2.0\n2,loss,1.5\n3,lo")
    logger = CSVLogger(path)
    logger.start(2, resume=True)
    logger.write(3, {"a,b": math.nan})
    assert path.read_text().endswith('2,loss,1.5\n3,"a,b",nan\n')  # there before it is closed
    logger.close()
    logger.close()
    assert os.listdir(tmp_path) == ["log.csv"]


@pytest.mark.parametrize("content", [b"time,value\n1,2\n", b"\x89PNG\xff\xfe\n"])
def test_a_file_that_is_no_log_stays_as_it_is(content, tmp_path):
    path = tmp_path / "other.csv"
    path.write_bytes(content)
    problem = r"other.csv is no log: its first line is not step,name,value\.\n  Hint: name another"
    with pytest.raises(InputError, match=problem):
        CSVLogger(path).start(0, resume=True)
    assert path.read_bytes() == content


def test_an_empty_file_becomes_a_log(tmp_path):
    path = tmp_path / "log.csv"
    path.touch()
    logger = CSVLogger(path)
    logger.start(0, resume=False)
    logger.close()
    assert path.read_text() == "step,name,value\n"


def test_tensorboard_reads_what_was_written(tmp_path):
    logger = TensorBoardLogger(tmp_path / "board")
    logger.start(0, resume=False)
    told = Scalars([logger])
    told.update([StepRecord(1, 2.0, 0.5, 0.25, 32.0, 0.125)])
    told.evaluated(EvaluationRecord(1, 1.5))
    logger.close()
    logger.close()
    assert events(tmp_path / "board")[0].file_version == "brain.Event:2"
    assert scalars(tmp_path / "board") == [
        (1, "loss", 2.0),
        (1, "norm", 0.5),
        (1, "clipped_norm", 0.25),
        (1, "count", 32.0),
        (1, "seconds", 0.125),
        (1, "evaluation", 1.5),
    ]


FULL = pathlib.Path("/dev/full")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_an_error_in_a_csv_log(tmp_path):
    logger = CSVLogger(tmp_path / "log.csv")
    logger.start(0, resume=False)
    logger._file.close()
    logger._file = FULL.open("w", buffering=1)
    with pytest.raises(OSError, match="No space left"):
        logger.write(1, {"loss": 1.0})
    with pytest.raises(OSError, match="No space left"):
        logger._file.close()


@pytest.mark.skipif(not FULL.exists(), reason="this system has no device that is always full")
def test_a_full_disk_is_an_error_in_a_log_for_tensorboard(tmp_path):
    logger = TensorBoardLogger(tmp_path / "log")
    logger.start(0, resume=False)
    record = logger._writer._py_recordio_writer
    record._writer.close()
    record._writer = FULL.open("wb", buffering=0)
    with pytest.raises(OSError, match="No space left"):
        logger.write(1, {"loss": 1.0})
    record._writer.close()


def test_without_tensorboardx_its_extra_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"tensorboardX.*\n  Hint: pip install 'jaxseq\[tensorb"):
        TensorBoardLogger(tmp_path)
