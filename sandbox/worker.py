"""What runs inside a worker process: jobs from standard input, answers to standard output.

Started as `python -I -m bluecode.sandbox.worker PARENT NAME=PATH …`, one guest a language. It
imports the sandbox and wasmtime only, so that many workers cost little memory.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path

from bluecode.sandbox.cache import IMAGE
from bluecode.sandbox.confinement import confine
from bluecode.sandbox.frames import (
    JOB_BYTES,
    Buffer,
    Job,
    read_request,
    write_broken,
    write_ready,
    write_result,
)
from bluecode.sandbox.languages import LANGUAGES
from bluecode.sandbox.linking import LinkedGuest
from bluecode.sandbox.memory import PageMap
from bluecode.sandbox.outcome import Recording, SandboxUnavailable
from bluecode.sandbox.wasm import Guest

STANDARD_INPUT, STANDARD_OUTPUT = 0, 1
READ_BYTES = 64 * 1024


class Worker:
    """The guests of this process, and the job that runs."""

    def __init__(self, guests: dict[str, Guest]) -> None:
        self._guests = guests
        self._running: tuple[int, Guest] | None = None

    def serve(self) -> None:
        """Take requests until the service closes the pipe."""
        send(write_ready())
        for body in frames():
            request = read_request(body)
            if isinstance(request, Job):
                self._start(request)
            elif self._running is not None and self._running[0] == request.number:
                self._running[1].stop()

    def _start(self, job: Job) -> None:
        guest = self._guests.get(job.language)
        if guest is None:
            send(write_broken(job.number, f"no guest for `{job.language}`"))
            return
        self._running = (job.number, guest)
        guest.start(job.job, job.limits).add_done_callback(
            lambda done: send(answer(job.number, done))
        )


def guest_of(name: str, path: Path, pages: PageMap | None) -> Guest:
    return (LinkedGuest if LANGUAGES[name].compiled else Guest)(path, pages)


def answer(number: int, done: Future[Recording]) -> bytes:
    try:
        return write_result(number, done.result())
    except SandboxUnavailable as unavailable:
        return write_broken(number, str(unavailable))


def frames() -> Iterator[bytes]:
    buffer = Buffer()
    while data := os.read(STANDARD_INPUT, READ_BYTES):
        buffer.feed(data)
        while (body := buffer.take(JOB_BYTES)) is not None:
            yield body


def send(frame: bytes) -> None:
    view = memoryview(frame)
    while view:
        view = view[os.write(STANDARD_OUTPUT, view) :]


def main(parent: str, *guests: str) -> None:
    named = {name: Path(path) for name, path in (guest.split("=", 1) for guest in guests)}
    pages = PageMap.open()  # what a confined process could not
    images = (path.with_suffix(IMAGE) for path in named.values())
    files = [*named.values(), *(path for path in images if path.exists())]
    confine(int(parent), files, [] if pages is None else [pages.descriptor])
    try:
        worker = Worker({name: guest_of(name, path, pages) for name, path in named.items()})
    except SandboxUnavailable as unavailable:
        send(write_broken(0, str(unavailable)))
        return
    worker.serve()


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except BrokenPipeError:
        pass  # the service is gone
    os._exit(0)  # not `sys.exit`: a guest may still run on its thread, and nobody waits for it
