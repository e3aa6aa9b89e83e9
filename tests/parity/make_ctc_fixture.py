"""Records PyTorch's CTC loss and its gradient: ``python tests/parity/make_ctc_fixture.py``.

Needs torch and NumPy only; the fixture that is kept was made with torch 2.13.0. It goes into
``fixtures/ctc_loss.npz``, in float64: logits, labels and lengths, and for the blank at either end
of the vocabulary the loss of each row (``nats_*``) and its weighted sum's gradient with respect to
the logits (``grad_*``), with and without ``zero_infinity``.
"""

from pathlib import Path

import numpy as np

FIXTURE = Path(__file__).parent / "fixtures" / "ctc_loss.npz"
BLANKS = (0, 6)

Arrays = dict[str, np.ndarray]


def draw() -> Arrays:
    """Returns five ragged rows, the last two too short for their labels."""
    rng = np.random.default_rng(20261124)
    labels = rng.integers(1, 6, (5, 4))
    labels[1, 1] = labels[1, 0]
    labels[3] = [2, 2, 2, 5]
    return {
        "logits": rng.normal(scale=2.0, size=(5, 11, 7)),
        "labels": labels,
        "lengths": np.array([11, 9, 7, 5, 2]),
        "label_lengths": np.array([4, 3, 1, 4, 3]),
        "weights": rng.uniform(0.5, 1.5, 5),
    }


def compute(arrays: Arrays) -> Arrays:
    """Returns what PyTorch computes."""
    import torch

    given = {name: torch.from_numpy(array) for name, array in arrays.items()}
    found = {}
    for blank in BLANKS:
        for zero in (False, True):
            logits = given["logits"].clone().requires_grad_()
            nats = torch.nn.functional.ctc_loss(
                logits.log_softmax(-1).transpose(0, 1),
                given["labels"],
                given["lengths"],
                given["label_lengths"],
                blank=blank,
                reduction="none",
                zero_infinity=zero,
            )
            name = f"blank{blank}_{'zero' if zero else 'inf'}"
            found["nats_" + name] = nats.detach().numpy()
            if zero:  # without it, PyTorch's gradient of an infinite row is NaN
                (nats * given["weights"]).sum().backward()
                found["grad_" + name] = logits.grad.numpy()
    return found


def main() -> None:
    """Writes the fixture."""
    import torch

    arrays = draw()
    np.savez_compressed(FIXTURE, **arrays, **compute(arrays))
    print(f"written to {FIXTURE}, with torch {torch.__version__}")


if __name__ == "__main__":
    main()
