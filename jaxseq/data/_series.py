"""Labelled series of the user's own: an .npz file of arrays, or a .ts file."""

import io
import os
import pathlib
import zipfile
import zlib
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Shaped

from jaxseq.data._files import UserFile, listed
from jaxseq.data._records import Series
from jaxseq.data._series_text import read_cases
from jaxseq.data._text import normal_text

_ZIP = (b"PK\x03\x04", b"PK\x05\x06")
_NPY = b"\x93NUMPY"
_FIELDS = ("values", "lengths", "labels")
_LAYOUT = (
    "save `values` [frames, I], all cases end to end, `lengths` [N] and `labels` [N]; or the same "
    "three with train_, valid_ or test_ before their names"
)


class SeriesParts(NamedTuple):
    """Labelled series in parts; a part that the file does not have is ``None``.

    Attributes:
      train: the training part; all of a file without parts.
      valid: the validation part, or ``None``.
      test: the test part, or ``None``.

    Example:
      >>> import numpy as np
      >>> case = Series(np.zeros((2, 1), np.float32), "a")
      >>> SeriesParts(train=[case], valid=None, test=None).train[0].label
      'a'
    """

    train: list[Series] | None
    valid: list[Series] | None
    test: list[Series] | None


def read_series(path: str | os.PathLike[str]) -> SeriesParts:
    r"""Reads an .npz or .ts file of labelled series, which may differ in length.

    Which of the two it is, and whether it is gzipped, is read from the content.

    - ``.npz``: arrays ``values`` ``[frames, I]``, the cases end to end; ``lengths`` ``[N]``, their
      frames; ``labels`` ``[N]``, integers or strings. All of it is ``train``. Or the same three
      with ``train_``, ``valid_`` or ``test_`` before their names, for each part that there is.
    - ``.ts``: the text format of the UEA archive. After a header with ``@classLabel true`` and the
      classes, and ``@data``, there is one case a line: its dimensions with ``:`` between them, each
      with commas between its values, and at the end the class. All of it is ``train``. Time stamps
      and missing values are refused.

    Args:
      path: the file.

    Returns:
      The cases of each part, in the order of the file; labels are strings.

    Raises:
      InputError: naming the file, and in a .ts file the line, if the file cannot be read (as in
        :func:`read_text`), is of neither kind, lacks an array or a part of the header, has numbers
        that do not fit each other, values that are no finite float32, a class that the header does
        not name, or no cases.

    Example:
      >>> import pathlib, tempfile
      >>> import numpy as np
      >>> with tempfile.TemporaryDirectory() as folder:
      ...     path = pathlib.Path(folder) / "walks.npz"
      ...     np.savez(path, values=np.ones((5, 3)), lengths=[2, 3], labels=["slow", "fast"])
      ...     [(case.values.shape, case.label) for case in read_series(path).train]
      [((2, 3), 'slow'), ((3, 3), 'fast')]

    References:
      Bagnall et al., "The UEA Multivariate Time Series Classification Archive, 2018",
      arXiv:1811.00075, 2018.
    """
    file = UserFile("read_series", pathlib.Path(path))
    data = file.read(wanted=".npz or .ts file")
    if data.startswith(_ZIP):
        return _parts(file, _arrays(file, data))
    if data.startswith(_NPY):
        raise file.error("is a single array (.npy), not an .npz file", hint=_LAYOUT)
    return SeriesParts(read_cases(file, normal_text(file, data, lines=True)), None, None)


def _arrays(file: UserFile, data: bytes) -> dict[str, np.ndarray]:
    """The arrays of an .npz file by name, those of :data:`_LAYOUT` and no others."""
    arrays = {}
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as archive:
            _check_names(file, archive.files)
            for name in archive.files:
                arrays[name] = _array(file, name, archive)
    except (EOFError, OSError, zipfile.BadZipFile, zlib.error) as cause:
        problem = f"is an .npz file that breaks off or is damaged ({cause})"
        raise file.error(problem, hint="make or download it again") from cause
    return arrays


def _array(file: UserFile, name: str, archive: np.lib.npyio.NpzFile) -> np.ndarray:
    try:
        array = archive[name]
    except ValueError as cause:
        hint = "save labels as np.array(labels, dtype=str), and numbers as numbers"
        raise file.error(f"has no plain array in `{name}` ({cause})", hint=hint) from cause
    if not isinstance(array, np.ndarray):
        raise file.error(f"has a `{name}` that is no array", hint=_LAYOUT)
    return array


def _prefixes(names: list[str]) -> dict[str, str]:
    """The parts there are, and what stands before the names of their arrays."""
    parts = {
        part: f"{part}_"
        for part in SeriesParts._fields
        if any(f"{part}_{field}" in names for field in _FIELDS)
    }
    return parts or {"train": ""}


def _check_names(file: UserFile, names: list[str]) -> None:
    wanted = [prefix + field for prefix in _prefixes(names).values() for field in _FIELDS]
    if missing := [name for name in wanted if name not in names]:
        problem = f"has no array {listed(missing)}; its arrays are {listed(names)}"
        zipped = any(name.endswith(".ts") for name in names)
        raise file.error(problem, hint="unzip it, and give one .ts file" if zipped else _LAYOUT)
    if unknown := [name for name in names if name not in wanted]:
        problem = f"has arrays that mean nothing here: {listed(unknown)}"
        raise file.error(problem, hint=_LAYOUT)


def _parts(file: UserFile, arrays: dict[str, np.ndarray]) -> SeriesParts:
    prefixes = _prefixes(list(arrays))
    parts = {part: _cases(file, arrays, prefix) for part, prefix in prefixes.items()}
    widths = {f"{prefix}values": arrays[f"{prefix}values"].shape[1] for prefix in prefixes.values()}
    if len(set(widths.values())) > 1:
        sizes = ", ".join(f"{width} in `{name}`" for name, width in widths.items())
        raise file.error(f"has frames of different widths: {sizes}", hint=_LAYOUT)
    return SeriesParts(*(parts.get(part) for part in SeriesParts._fields))


def _cases(file: UserFile, arrays: dict[str, np.ndarray], prefix: str) -> list[Series]:
    """The cases of one part."""
    names = [prefix + field for field in _FIELDS]
    values = _checked_values(file, names[0], arrays[names[0]])
    lengths = _checked_lengths(file, names[1], arrays[names[1]])
    if (total := int(lengths.sum())) != len(values):
        problem = f"has {len(values)} frames in `{names[0]}`, and `{names[1]}` sum to {total}"
        raise file.error(problem, hint=_LAYOUT)
    labels = _checked_labels(file, names[2], arrays[names[2]])
    if len(labels) != len(lengths):
        problem = f"has {len(labels)} `{names[2]}` for {len(lengths)} `{names[1]}`"
        raise file.error(problem, hint=_LAYOUT)
    cases = np.split(values, np.cumsum(lengths)[:-1])
    return [Series(case, label) for case, label in zip(cases, labels, strict=True)]


def _checked_values(file: UserFile, name: str, array: np.ndarray) -> Float32[np.ndarray, "N I"]:
    _check_form(file, name, array, "numbers [frames, I]", kinds="fiu", axes=2)
    # What is too large for float32 becomes inf, and is refused below.
    with np.errstate(over="ignore"):
        values = np.ascontiguousarray(array, np.float32)
    if len(wrong := np.argwhere(~np.isfinite(values))):
        frame, feature = map(int, wrong[0])
        problem = f"has `{name}`[{frame}, {feature}] = {array[frame, feature]}"
        hint = "fill in missing values, or leave these cases out"
        raise file.error(f"{problem}, which is no finite float32", hint=hint)
    return values


def _checked_lengths(file: UserFile, name: str, array: np.ndarray) -> Shaped[np.ndarray, " N"]:
    _check_form(file, name, array, "integers [N]", kinds="iu", axes=1)
    if array.min() < 1:
        problem = f"has a length of {array.min()} in `{name}`, at place {int(array.argmin())}"
        raise file.error(problem, hint="give every case at least one frame")
    return array.astype(np.int64)


def _checked_labels(file: UserFile, name: str, array: np.ndarray) -> list[str]:
    _check_form(file, name, array, "integers or strings [N]", kinds="iuU", axes=1)
    labels = [str(label).strip() for label in array.tolist()]
    if "" in labels:
        problem = f"has an empty label in `{name}`, at place {labels.index('')}"
        raise file.error(problem, hint="give every case a label")
    return labels


def _check_form(
    file: UserFile, name: str, array: np.ndarray, wanted: str, *, kinds: str, axes: int
) -> None:
    """Raises unless the array is of one of the kinds and axes, and none of them is empty."""
    if array.dtype.kind not in kinds or array.ndim != axes:
        problem = f"has `{name}` of dtype {array.dtype} and shape {array.shape}"
        raise file.error(f"{problem}, which are to be {wanted}", hint=_LAYOUT)
    if not array.size:
        raise file.error(f"has nothing in `{name}`: its shape is {array.shape}", hint=_LAYOUT)
