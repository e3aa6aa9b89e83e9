"""A file that a person gave: its bytes, its text, and the errors that name it."""

import gzip
import pathlib
import zlib
from typing import NamedTuple

from jaxseq._checks import InputError, error

_GZIP = b"\x1f\x8b"
_HANGUL = ("\uac00", "\ud7a3")


class UserFile(NamedTuple):
    """A file that a person gave, and the function that they gave it to.

    Attributes:
      where: the function, which errors name.
      path: the file.
    """

    where: str
    path: pathlib.Path

    def error(self, problem: str, *, hint: str, line: int | None = None) -> Exception:
        """Returns the error that names the file, and the line if the problem is in one."""
        place = f"`{self.path}`" if line is None else f"`{self.path}`, line {line}:"
        return error(self.where, f"{place} {problem}", hint=hint, kind=InputError)

    def read(self, *, wanted: str = "text file") -> bytes:
        """The content, unzipped if it is gzipped, which the content says and not the name."""
        try:
            data = self.path.read_bytes()
        except FileNotFoundError as cause:
            hint = "check the spelling; a path is relative to the working directory"
            problem = f"there is no file `{self.path}`"
            raise error(self.where, problem, hint=hint, kind=InputError) from cause
        except (IsADirectoryError, NotADirectoryError) as cause:
            raise self.error("is not a file", hint=f"give the path of one {wanted}") from cause
        return self._unzip(data) if data.startswith(_GZIP) else data

    def decode(self, data: bytes, *, lines: bool = False) -> str:
        """The text of UTF-8 bytes; an error names the line too if the file is one of lines."""
        try:
            return data.decode("utf-8")
        except UnicodeDecodeError as cause:
            before = data[: cause.start].replace(b"\r\n", b"\n").replace(b"\r", b"\n")
            number = before.count(b"\n") + 1
            place = f"{cause.start}, in line {number}," if lines else f"{cause.start}"
            problem = f"is not UTF-8: byte {place} is 0x{data[cause.start]:02x}"
            guess = _guess(data)
            hint = f"re-encode it; if it is {guess}: `iconv -f {guess} -t UTF-8 FILE`"
            raise self.error(problem, hint=hint) from cause

    def _unzip(self, data: bytes) -> bytes:
        try:
            return gzip.decompress(data)
        except (EOFError, OSError, zlib.error) as cause:
            hint = "make or download it again; `gzip -t FILE` checks it"
            problem = "is a gzip file that breaks off or is damaged"
            raise self.error(problem, hint=hint) from cause


def listed(names: list[str]) -> str:
    """The names for an error: the first eight, and of a long one its beginning.

    Example:
      >>> listed(["text", "a sentence that nobody meant to be a name"])
      "'text', 'a sentence that nobody meant to…'"
    """
    short = [name if len(name) <= 32 else f"{name[:31]}…" for name in names]
    return ", ".join([*map(repr, short[:8]), *(["…"] if len(short) > 8 else [])]) or "none"


def _guess(data: bytes) -> str:
    """The likeliest encoding of bytes that are not UTF-8: older Korean files are CP949."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "UTF-16"
    korean = data.decode("cp949", errors="replace")
    hangul = sum(_HANGUL[0] <= letter <= _HANGUL[1] for letter in korean)
    return "CP949" if hangul > korean.count("\ufffd") else "ISO-8859-1"
