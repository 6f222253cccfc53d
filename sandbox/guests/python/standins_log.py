"""Logs: the line that would be written is told."""

import logging
import syslog

from recording import SNIPPET, frame_above


def install(sink):
    import sys

    def handle(self, record):
        frame = frame_above(2)
        while frame is not None and frame.f_code.co_filename != SNIPPET:
            frame = frame.f_back
        if frame is not None:
            try:
                text = record.getMessage()
            except (TypeError, ValueError):
                text = str(record.msg)
            sink("log", "logging." + record.levelname.lower(), text, line=frame.f_lineno)

    logging.Logger.callHandlers = handle
    logging.basicConfig = logging.captureWarnings = lambda *_, **__: None
    logging.root.setLevel(logging.DEBUG)
    syslog.syslog = lambda *args: sink("log", "syslog", args[-1])
