import json

from jaxseq.training import EvaluationRecord, History, StepRecord


def test_a_history_survives_json():
    history = History(
        [StepRecord(1, 2.5, 0.5, 0.25, 8.0, 0.1), StepRecord(2, 2.25, 0.5, 0.25, 8.0, 0.2)],
        [EvaluationRecord(2, 2.125)],
    )
    assert History.from_json(json.loads(json.dumps(history.to_json()))) == history


def test_histories_do_not_share_their_records():
    History().steps.append(StepRecord(1, 2.5, 0.5, 0.25, 8.0, 0.1))
    assert History().steps == []
