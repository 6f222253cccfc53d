"""Read-only files out of memory, for the one time when a guest may read any: its initialisation.

Inodes follow the sorted names and all times are the epoch, so that the guest's memory afterwards
is the same wherever it was made. Only what CPython's import system asks for is here.
"""

from __future__ import annotations

import posixpath
import struct
from collections.abc import Mapping
from dataclasses import dataclass

from bluecode.sandbox.wasi import (
    BAD_DESCRIPTOR,
    DIRECTORY,
    INVALID,
    NO_ENTRY,
    ROOT,
    SUCCESS,
    Memory,
    World,
    buffers,
    fdstat,
    filestat,
)

REGULAR = 4
NOT_DIRECTORY, READ_ONLY = 54, 69
CREATE_OR_TRUNCATE = 0b1001
OUTPUT_LIMIT = 64 * 1024


@dataclass(slots=True)
class Opened:
    path: str
    position: int = 0


class MemoryFiles(World):
    """A world with the given files, named by absolute paths."""

    def __init__(self, files: Mapping[str, bytes]) -> None:
        super().__init__(OUTPUT_LIMIT)
        self._files = dict(files)
        self._folders = folders(files)
        names = sorted(self._files.keys() | self._folders.keys())
        self._inodes = {name: inode for inode, name in enumerate(names, start=16)}
        self._opened: dict[int, Opened] = {ROOT: Opened("/")}

    def fd_prestat_get(self, memory: Memory, descriptor: int, result: int) -> int:
        if descriptor != ROOT:
            return BAD_DESCRIPTOR
        memory.write(result, struct.pack("<II", 0, 1))
        return SUCCESS

    def fd_prestat_dir_name(self, memory: Memory, descriptor: int, buffer: int, length: int) -> int:
        if descriptor != ROOT or length < 1:
            return BAD_DESCRIPTOR
        memory.write(buffer, b"/")
        return SUCCESS

    def path_open(
        self, memory: Memory, base: int, lookup: int, path: int, length: int, *rights: int
    ) -> int:
        mode, *_, result = rights
        if mode & CREATE_OR_TRUNCATE:
            return READ_ONLY
        name = self._name(memory, base, path, length)
        if name not in self._inodes:
            return NO_ENTRY
        descriptor = max(self._opened) + 1
        self._opened[descriptor] = Opened(name)
        memory.write(result, struct.pack("<I", descriptor))
        return SUCCESS

    def path_filestat_get(
        self, memory: Memory, base: int, flags: int, path: int, length: int, result: int
    ) -> int:
        name = self._name(memory, base, path, length)
        if name not in self._inodes:
            return NO_ENTRY
        memory.write(result, self._status(name))
        return SUCCESS

    def fd_fdstat_get(self, memory: Memory, descriptor: int, result: int) -> int:
        opened = self._opened.get(descriptor)
        if opened is None:
            return super().fd_fdstat_get(memory, descriptor, result)
        memory.write(result, fdstat(self._kind(opened.path)))
        return SUCCESS

    def fd_filestat_get(self, memory: Memory, descriptor: int, result: int) -> int:
        opened = self._opened.get(descriptor)
        if opened is None:
            return super().fd_filestat_get(memory, descriptor, result)
        memory.write(result, self._status(opened.path))
        return SUCCESS

    def fd_read(self, memory: Memory, descriptor: int, vectors: int, count: int, done: int) -> int:
        opened = self._opened.get(descriptor)
        if opened is None or opened.path not in self._files:
            return super().fd_read(memory, descriptor, vectors, count, done)
        content, start = self._files[opened.path], opened.position
        for address, length in buffers(memory, vectors, count):
            piece = content[opened.position : opened.position + length]
            memory.write(address, piece)
            opened.position += len(piece)
        memory.write(done, struct.pack("<I", opened.position - start))
        return SUCCESS

    def fd_seek(
        self, memory: Memory, descriptor: int, offset: int, whence: int, result: int
    ) -> int:
        opened = self._opened.get(descriptor)
        if opened is None or opened.path not in self._files:
            return super().fd_seek(memory, descriptor, offset, whence, result)
        origins = (0, opened.position, len(self._files[opened.path]))
        if not 0 <= whence < 3 or origins[whence] + offset < 0:
            return INVALID
        opened.position = origins[whence] + offset
        return self.fd_tell(memory, descriptor, result)

    def fd_tell(self, memory: Memory, descriptor: int, result: int) -> int:
        opened = self._opened.get(descriptor)
        if opened is None:
            return super().fd_tell(memory, descriptor, result)
        memory.write(result, struct.pack("<Q", opened.position))
        return SUCCESS

    def fd_readdir(
        self, memory: Memory, descriptor: int, buffer: int, length: int, cookie: int, used: int
    ) -> int:
        opened = self._opened.get(descriptor)
        if opened is None or opened.path not in self._folders:
            return NOT_DIRECTORY
        listing = b"".join(
            struct.pack("<QQIBxxx", index + 1, *self._entry(opened.path, name)) + name.encode()
            for index, name in enumerate(self._folders[opened.path])
            if index >= cookie
        )[: max(length, 0)]
        memory.write(buffer, listing)
        memory.write(used, struct.pack("<I", len(listing)))
        return SUCCESS

    def fd_close(self, memory: Memory, descriptor: int) -> int:
        if descriptor == ROOT or self._opened.pop(descriptor, None) is None:
            return BAD_DESCRIPTOR
        return SUCCESS

    def _name(self, memory: Memory, base: int, path: int, length: int) -> str:
        opened = self._opened.get(base, Opened("/"))
        given = memory.read(path, length).decode("utf-8", "replace")
        return posixpath.normpath(posixpath.join(opened.path, given))

    def _kind(self, name: str) -> int:
        return REGULAR if name in self._files else DIRECTORY

    def _status(self, name: str) -> bytes:
        return filestat(self._kind(name), self._inodes[name], len(self._files.get(name, b"")))

    def _entry(self, folder: str, name: str) -> tuple[int, int, int]:
        path = posixpath.join(folder, name)
        return self._inodes[path], len(name.encode()), self._kind(path)


def folders(files: Mapping[str, bytes]) -> dict[str, list[str]]:
    """Each folder that the files imply, with the sorted names in it."""
    found: dict[str, set[str]] = {"/": set()}
    for path in files:
        while path != "/":
            parent, name = posixpath.split(path)
            found.setdefault(parent, set()).add(name)
            path = parent
    return {folder: sorted(names) for folder, names in found.items()}
