"""Reading the bundled files, and the rules by which they are split."""

import csv
import gzip
import importlib.resources
import io
import zlib
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple, TypeVar

import numpy as np

Row = TypeVar("Row")
Columns = TypeVar("Columns", bound=tuple)


class Parts(NamedTuple):
    """Training, validation and test data; a part that the split does not have is ``None``."""

    train: Any
    valid: Any = None
    test: Any = None


def read_bytes(*path: str) -> bytes:
    """The content of a bundled file, unzipped."""
    data = importlib.resources.files("jaxseq.data").joinpath("corpora", *path).read_bytes()
    return gzip.decompress(data) if path[-1].endswith(".gz") else data


def read_string(*path: str) -> str:
    """The content of a bundled text file."""
    return read_bytes(*path).decode("utf-8")


def read_rows(*path: str) -> list[list[str]]:
    """The fields of a bundled .tsv file, without its header."""
    # Not splitlines, which also breaks at characters that are not line ends in these files.
    lines = read_string(*path).removesuffix("\n").split("\n")
    return [line.split("\t") for line in lines[1:]]


def read_arrays(path: str) -> dict[str, np.ndarray]:
    """The arrays of a bundled .npz file."""
    with np.load(io.BytesIO(read_bytes(path)), allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def read_columns(path: str, kind: type[Columns], **dtypes: Any) -> Columns:
    """The columns of a bundled .csv file as arrays; an empty field of a float column is NaN."""
    rows = list(csv.DictReader(io.StringIO(read_string(path), newline="")))
    columns = {}
    for name, dtype in dtypes.items():
        fields = [row[name] or "nan" for row in rows]
        columns[name] = np.array(fields, str if dtype is bool else dtype)
        if dtype is bool:
            columns[name] = columns[name] == "1"
    return kind(**columns)


def read_sequences(path: str, kind: Callable[[str, str], Row]) -> list[tuple[str, list[Row]]]:
    """The sequences of a bundled .conll file, each with the last comment above it."""
    comment, sequences = "", []
    for block in read_string(path).split("\n\n"):
        sequence = []
        for line in block.split("\n"):
            if "\t" in line:
                token, label = line.split("\t")
                sequence.append(kind(token, label))
            elif line.startswith("#"):
                comment = line
        if sequence:
            sequences.append((comment, sequence))
    return sequences


def split_rows(rows: Iterable[Row], place: Callable[[Row], int]) -> Parts:
    """The rows whose place is 0 are the test part, 1 the validation part, the others training."""
    parts: tuple[list[Row], list[Row], list[Row]] = ([], [], [])
    for row in rows:
        parts[min(place(row), 2)].append(row)
    test, valid, train = parts
    return Parts(train, valid, test)


def split_by_checksum(
    rows: Iterable[Row], text: Callable[[Row], str], *, modulus: int = 20
) -> Parts:
    """Rows go by their text, whatever their order, and equal texts go to the same part."""
    return split_rows(rows, lambda row: zlib.crc32(text(row).encode("utf-8")) % modulus)


def split_columns(columns: Columns, times: np.ndarray, *starts: Any) -> Parts:
    """Cuts columns where validation and test begin."""
    valid, test = (times >= np.array(start, times.dtype) for start in starts)
    kind = type(columns)

    def take(mask: np.ndarray) -> Columns:
        return kind(*[column[mask] for column in columns])

    return Parts(take(~valid), take(valid & ~test), take(test))
