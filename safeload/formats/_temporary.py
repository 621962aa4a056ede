"""Directories for what loaders want as files. Layer: formats; standard library alone."""

from __future__ import annotations

import atexit
import contextlib
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from safeload.errors import LoadFailedError, SafeloadError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_AFTER_WORKERS = -1
"""Priority of what is deleted once the workers of a process have ended, which may read it.

Source: ``_exit_function`` in Lib/multiprocessing/util.py (Python 3.13).
"""


class TemporaryFolder:
    """A private directory, deleted with this object or when the process ends.

    Not a `tempfile.TemporaryDirectory`, which warns when its owner, such as a callable that is dropped, did not close
    it.

    Args:
        where: How messages name what is going to lie there.

    Attributes:
        path: The directory; nobody else may enter it.
        remove: Deletes it.

    Raises:
        LoadFailedError: ``load-failed``. There is no directory for temporary files, or nothing can be written to it.
    """

    def __init__(self, where: str) -> None:
        from multiprocessing.util import Finalize  # takes as long to import as all of this library

        with writing(where):
            self.path: Path = Path(tempfile.mkdtemp(prefix="safeload-"))
        # Unlike weakref.finalize it also runs where workers of multiprocessing end, and never in a fork of the owner.
        self.remove: Callable[[], object] = Finalize(self, _delete, (self.path,), exitpriority=_AFTER_WORKERS)


@contextlib.contextmanager
def writing(where: str) -> Iterator[None]:
    """Explain what goes wrong where a temporary file is written.

    Raises:
        LoadFailedError: ``load-failed``. The disk is full, say.
    """
    try:
        yield
    except SafeloadError:
        raise
    except OSError as error:
        raise unwritable(where, error) from error


def unwritable(where: str, error: OSError) -> LoadFailedError:
    """Return the explanation of *error*, which writing a temporary file raised."""
    try:
        place = f"{tempfile.gettempdir()!r} cannot be written to"
    except OSError:  # nor can any other that Python tries
        place = "there is no directory for them"
    return LoadFailedError(
        where,
        problem=f"it takes temporary files, and {place}: {error.strerror or error}",
        hint="set the environment variable TMPDIR to a directory with room, to which this process may write",
    )


def _delete(path: Path) -> None:
    shutil.rmtree(path, ignore_errors=True)
    if path.exists():  # listing it takes file descriptors, and a load may have failed for want of them
        atexit.register(shutil.rmtree, path, ignore_errors=True)
