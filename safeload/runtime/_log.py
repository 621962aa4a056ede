"""The logger of the library. Layer: runtime."""

from __future__ import annotations

import logging

from safeload.errors import printable

__all__ = ["LOG"]

LOG = logging.getLogger("safeload")
"""Says at ``INFO`` which road a load took and why it left another. Prints nothing by itself."""


def _escape(record: logging.LogRecord) -> bool:
    """Write as escapes what would steer a terminal or forge a line: names come from files of strangers."""
    record.msg, record.args = printable(record.getMessage()), None
    return True


LOG.addFilter(_escape)
