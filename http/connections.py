"""How connections are served, beneath the application."""

from __future__ import annotations

import logging
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError


class QuotesNothing(logging.Filter):
    """Takes from the log what aiohttp quotes of a request that it cannot read: a token may stand in it."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let every record through, those with the kind of the error alone."""
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError | web.RequestPayloadError):
            record.msg, record.args = "A request could not be read: %s", (type(error).__name__,)
            record.exc_info = record.exc_text = None
            record.levelno, record.levelname = logging.INFO, "INFO"
        return True


def make_runner(app: web.Application, **options: Any) -> web.AppRunner:
    """The application's runner; *options* as aiohttp has them."""
    logger = logging.getLogger(__name__)
    if not logger.filters:
        logger.addFilter(QuotesNothing())
    return web.AppRunner(app, access_log=None, logger=logger, **options)
