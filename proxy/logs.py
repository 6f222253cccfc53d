"""Logs on standard error, as text or as one JSON object a line.

What users write never gets here: those who log give digests, lengths and names.
"""

import json
import logging
import sys
from datetime import UTC, datetime

_NOISY = ("uvicorn", "asyncio", "httpx", "openai", "aiohttp")


def set_up(level: str, kind: str) -> None:
    """Send all logs of the process to standard error; libraries speak from `warning` on."""
    out = logging.StreamHandler(sys.stderr)
    out.setFormatter(_Json() if kind == "json" else _Text())
    logging.basicConfig(level=level.upper(), handlers=[out], force=True)
    for name in _NOISY:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))


class _Text(logging.Formatter):
    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", datefmt="%H:%M:%S")


class _Json(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["error"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)
