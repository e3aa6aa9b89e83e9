"""What the tests of the recipes share."""

from pathlib import Path

import pytest


@pytest.fixture
def blank(monkeypatch):
    """Pictures are made but not painted: for a test that looks at none of what it leaves."""
    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "savefig", lambda _, path, **options: Path(path).write_bytes(b""))
