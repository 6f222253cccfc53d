"""A guest's memory as its initialisation left it: a file that is mapped copy-on-write for runs, and
every page that a run changed put back after it.

Which pages those are the kernel tells, not the guest: they are no longer pages of the file. Copying
them back costs a tenth of what it would cost to have the kernel copy them anew at each first write.
Where the kernel does not tell (Linux before 6.7, other systems), the file is mapped anew.
"""

from __future__ import annotations

import ctypes
import fcntl
import mmap
import os
import struct
from collections.abc import Iterator
from pathlib import Path

from bluecode.sandbox.outcome import SandboxUnavailable

MAP_FIXED = 0x10
PAGES = Path("/proc/self/pagemap")
PAGEMAP_SCAN = 0xC060_6610  # include/uapi/linux/fs.h, as all below
SCAN = struct.Struct("<12Q")
IS_FILE, IS_PRESENT, IS_SWAPPED = 1 << 2, 1 << 3, 1 << 4
WALK_END = 32  # its offset in `struct pm_scan_arg`
REGIONS = 512
MOST_KEPT = 8 * 1024**2
"""Bytes of changed pages that a guest keeps for the next run; beyond, all are given back."""

Region = tuple[int, int]


class PageMap:
    """What the kernel tells of this process's own pages."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor
        self._regions = (ctypes.c_uint64 * (3 * REGIONS))()

    @classmethod
    def open(cls) -> PageMap | None:
        """None where the kernel tells nothing, or not to this user."""
        try:
            pages = cls(os.open(PAGES, os.O_RDONLY | os.O_CLOEXEC))
        except OSError:
            return None
        try:
            with mmap.mmap(-1, mmap.PAGESIZE) as tried:
                address = ctypes.addressof(ctypes.c_char.from_buffer(tried))
                list(pages.changed(address, mmap.PAGESIZE))
        except OSError:
            os.close(pages.descriptor)
            return None
        return pages

    def changed(self, address: int, size: int) -> Iterator[Region]:
        """Where, in a private mapping of a file, pages are not the file's: start and end."""
        at, end = address, address + size
        while at < end:
            scan = bytearray(
                SCAN.pack(
                    *(SCAN.size, 0, at, end, 0, ctypes.addressof(self._regions), REGIONS, 0),
                    *(
                        IS_FILE,
                        IS_FILE,
                        IS_PRESENT | IS_SWAPPED,
                        IS_FILE,
                    ),  # not of a file, and there
                )
            )
            count = fcntl.ioctl(self.descriptor, PAGEMAP_SCAN, scan, True)
            for index in range(count):
                yield self._regions[3 * index], self._regions[3 * index + 1]
            (at,) = struct.unpack_from("<Q", scan, WALK_END)


class MemoryImage:
    """The file, and what is done with it at addresses of this process."""

    def __init__(self, path: Path, pages: PageMap | None) -> None:
        """Raises `SandboxUnavailable` if the file is not there."""
        try:
            self._file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise SandboxUnavailable(
                f"the guest's memory is not there: {error.strerror}"
            ) from error
        self.size = os.fstat(self._file).st_size
        self._pages = pages
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.mmap.restype = ctypes.c_void_p
        self._libc.mmap.argtypes = [
            *(ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int),
            ctypes.c_int64,
        ]
        self._pristine = self._mapped(None, mmap.PROT_READ, 0)

    def close(self) -> None:
        self._libc.munmap(ctypes.c_void_p(self._pristine), ctypes.c_size_t(self.size))
        os.close(self._file)

    def put(self, address: int) -> None:
        """Have the memory at the address, `size` bytes that are this process's, begin anew."""
        self._mapped(address, mmap.PROT_READ | mmap.PROT_WRITE, MAP_FIXED)

    def restore(self, address: int) -> None:
        """Like `put`, at an address where it was put before, and quick where little was changed."""
        changed = [] if self._pages is None else [*self._pages.changed(address, self.size)]
        if self._pages is None or sum(end - start for start, end in changed) > MOST_KEPT:
            self.put(address)
            return
        for start, end in changed:
            ctypes.memmove(start, self._pristine + start - address, end - start)

    def _mapped(self, address: int | None, rights: int, how: int) -> int:
        made = self._libc.mmap(address, self.size, rights, mmap.MAP_PRIVATE | how, self._file, 0)
        if made is None or made == ctypes.c_void_p(-1).value:
            number = ctypes.get_errno()
            raise SandboxUnavailable(f"a guest's memory cannot be mapped: {os.strerror(number)}")
        assert isinstance(made, int)
        return made
