from pathlib import Path

import numpy as np
import peers
from peers.case import draw


def test_the_products_of_an_lstm_are_counted():
    # Two operations for each of B*T rows, 4*H gates and I + H inputs.
    assert peers.Case("lstm", (2, 3, 4, 5)).flops == 2 * 6 * 20 * 9
    both = peers.Case("lstm", (2, 3, 4, 5), layers=2, bidirectional=True)
    assert both.flops == 2 * 2 * 6 * 20 * (9 + 15)


def test_data_depend_on_the_case_alone():
    case = peers.Case("gru", (2, 40, 4, 5), layers=2, bidirectional=True, ragged=True)
    one, other = draw(case), draw(case)
    np.testing.assert_array_equal(one.xs, other.xs)
    np.testing.assert_array_equal(one.lengths, other.lengths)
    assert [layer[1].w_ih.shape for layer in one.layers] == [(15, 4), (15, 10)]


def test_lengths_are_between_a_quarter_and_all_of_the_steps():
    lengths = draw(peers.Case("gru", (500, 40, 1, 1), ragged=True)).lengths
    assert (lengths.min(), lengths.max()) == (10, 40)


def test_a_peer_that_is_not_installed_says_so(monkeypatch):
    missing = peers.Peer("Missing", "missing", "no_such_package", "no-such-package")
    monkeypatch.setitem(peers.PEERS, "missing", missing)
    assert peers.build("missing", peers.Case("gru", (1, 1, 1, 1))) == "not installed"


def test_resets_are_ours_alone():
    case = peers.Case("gru", (1, 1, 1, 1), resets=True)
    assert peers.build("flax", case) == "not compared with resets"


def test_every_peer_of_the_table_has_an_adapter():
    for peer in peers.PEERS.values():
        assert (Path(peers.__file__).parent / f"{peer.adapter}.py").exists(), peer
