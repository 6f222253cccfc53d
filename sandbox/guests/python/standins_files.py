"""A file system in memory: any file that is asked for is there, what is written is remembered.

Paths are told as resolved against the working directory, so that leaving a folder is judged by
where the path leads and not by how it is spelled. There are no links.
"""

import builtins
import errno
import genericpath
import glob
import io
import ntpath
import os
import pathlib
import posixpath
import shutil
import stat
import tarfile
import tempfile
import types
import zipfile

CWD = "/srv/app"
FOLDERS = {
    "/",
    "/srv",
    "/srv/app",
    "/tmp",
    "/etc",
    "/home",
    "/home/user",
    "/var",
    "/var/www",
    "/var/data",
}
TEXTS = {
    ".json": '{"name": "value", "items": [1, 2]}', ".csv": "name,age\nalpha,3\n",
    ".yaml": "name: value\n", ".yml": "name: value\n", ".xml": "<root><name>value</name></root>",
    ".toml": 'name = "value"\n', ".ini": "[main]\nname = value\n", ".cfg": "[main]\nname = value\n",
    ".html": "<html><body>Hello</body></html>",
}  # fmt: skip
FOLDER_NAME = ("dir", "folder", "path", "root", "base", "home", "data", "files", "uploads",
               "static", "templates", "public", "storage", "media", "documents")  # fmt: skip


LOADED = frozenset({"object", "xml", "code", "template", "import", "match", "pattern"})


class Disk:
    """What exists in this run."""

    def __init__(self, state, sources):
        self.state, self.sources = state, sources
        self.begin()

    def begin(self):
        self.cwd = CWD
        self.files = {}
        self.folders = set(FOLDERS)
        self.gone = set()
        self.modes = {}
        self.open = {}

    def told(self, path):
        """The content of a file that outside data names. It may be outside data, too, where that
        is loaded or run; what is only shown is the file's own affair."""
        if self.sources.target is not None:
            return self.sources.payload if self.sources.kind in LOADED else "first line"
        indexes = sorted(self.state.indexes(path))
        return self.sources.marker(indexes[0]) if indexes else self.state.token

    def resolve(self, path):
        if isinstance(path, int):
            return self.open[path].name if path in self.open else f"/dev/fd/{path}"
        text = os.fspath(path)
        text = os.fsdecode(text) if isinstance(text, bytes) else str(text)
        if "\0" in text:
            raise ValueError("embedded null byte")
        return posixpath.normpath(posixpath.join(self.cwd, text)).replace("//", "/", 1)

    def is_folder(self, path):
        if path in self.files or path in self.gone:
            return False
        name = posixpath.basename(path)
        return path in self.folders or ("." not in name and name.lower() in FOLDER_NAME)

    def exists(self, path):
        return path not in self.gone

    def content(self, path):
        if path in self.files:
            return bytes(self.files[path])
        extension = posixpath.splitext(path)[1]
        if self.state.tainted(path):  # whoever names the file may have written it
            return self.told(path).encode("utf-8", "replace")
        return TEXTS.get(extension, "first line\nsecond line\n").encode()


def archive(extension, token):
    """An archive with one member that climbs out of where it is unpacked."""
    name, data = f"../../../../../etc/{token}", token.encode()
    target = io.BytesIO()
    if extension == ".zip":
        with zipfile.ZipFile(target, "w") as packed:
            packed.writestr(name, data)
        return target.getvalue()
    mode = "w" if extension == ".tar" else "w:gz"
    with tarfile.open(fileobj=target, mode=mode) as packed:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        packed.addfile(member, io.BytesIO(data))
    return target.getvalue()


def install(state, sources, sink):
    disk = Disk(state, sources)

    class Raw(io.BytesIO):
        """An open file; its bytes go back to the disk when it is flushed or closed."""

        def __init__(self, path, mode):
            super().__init__(
                disk.content(path) if set(mode) & set("ra+") and "w" not in mode else b""
            )
            self.name, self._path, self._mode = path, path, mode
            self._number = 0
            if "a" in mode:
                self.seek(0, 2)

        @property
        def mode(self):
            return self._mode

        def fileno(self):
            if not self._number:
                self._number = 10 + len(disk.open)
                disk.open[self._number] = self
            return self._number

        def readable(self):
            return "r" in self._mode or "+" in self._mode

        def writable(self):
            return bool(set(self._mode) & set("wax+"))

        def write(self, data):
            if not self.writable():
                raise io.UnsupportedOperation("not writable")
            written = super().write(data)
            disk.files[self._path] = self.getbuffer()[:65536].tobytes()
            return written

    def told(api, path, mode, **detail):
        resolved = disk.resolve(path)
        sink(
            "path",
            api,
            resolved,
            mode=mode,
            raw="" if isinstance(path, int) else str(path),
            **detail,
        )
        return resolved

    def opened(path, mode="r", buffering=-1, encoding=None, errors=None, newline=None,
               closefd=True, opener=None):  # fmt: skip
        if isinstance(path, int) and path in disk.open:
            raw = disk.open[path]
        else:
            resolved = told("open", path, mode)
            if "x" in mode and resolved in disk.files:
                raise FileExistsError(errno.EEXIST, "File exists", str(path))
            if disk.is_folder(resolved):
                raise IsADirectoryError(errno.EISDIR, "Is a directory", str(path))
            if resolved in disk.gone and "r" in mode:
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
            disk.gone.discard(resolved)
            raw = Raw(resolved, mode)
            if raw.writable():
                disk.files.setdefault(resolved, b"")
        if "b" in mode:
            return raw
        text = io.TextIOWrapper(
            raw, encoding or "utf-8", errors or "replace", newline, write_through=True
        )
        text.mode = mode
        return text

    def os_open(path, flags, mode=0o777, *, dir_fd=None):
        only_read = flags & (os.O_WRONLY | os.O_RDWR) == os.O_RDONLY  # whatever bits a system uses
        letters = "r" if only_read else "w+"
        resolved = told("os.open", path, letters, permissions=mode if flags & os.O_CREAT else -1)
        return Raw(resolved, letters).fileno()

    def status(path, *_, **__):
        resolved = disk.resolve(path)
        if state.tainted(resolved):
            sink("look", "os.stat", resolved)
        missing = state.contrary == 1 and resolved not in disk.files | disk.modes
        if missing or not disk.exists(resolved):
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        folder = disk.is_folder(resolved)
        kind = stat.S_IFDIR | 0o755 if folder else stat.S_IFREG | disk.modes.get(resolved, 0o644)
        size = len(disk.files[resolved]) if resolved in disk.files else 24
        return os.stat_result((kind, 1, 1, 1, 1000, 1000, size, 1700000000, 1700000000, 1700000000))

    def listed(path="."):
        resolved = told("os.listdir", path, "list")
        inside = {name[len(resolved) + 1 :].split("/")[0] for name in disk.files
                  if name.startswith(resolved + "/")}  # fmt: skip
        return sorted(inside or {"report.txt"})

    class Entry:
        def __init__(self, folder, name):
            self.name, self.path = name, posixpath.join(folder, name)

        def is_dir(self, **_):
            return disk.is_folder(disk.resolve(self.path))

        def is_file(self, **_):
            return not self.is_dir()

        def is_symlink(self):
            return False

        def is_junction(self):
            return False

        def stat(self, **_):
            return status(self.path)

        def __fspath__(self):
            return self.path

    class Scan(list):
        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def close(self):
            return None

    def scanned(path="."):
        path = os.fspath(path) or "."
        return Scan(Entry(path, name) for name in listed(path))

    def forget(api):
        def remove(path, *_, **__):
            resolved = told(api, path, "delete")
            disk.files.pop(resolved, None)
            disk.folders.discard(resolved)
            disk.gone.add(resolved)

        return remove

    def make(api):
        def create(path, mode=0o777, exist_ok=False, **__):
            resolved = told(api, path, "mkdir")
            disk.gone.discard(resolved)
            disk.folders.add(resolved)

        return create

    def move(api):
        def change(source, target, *_, **__):
            first, second = told(api, source, "r"), told(api, target, "w")
            disk.files[second] = disk.content(first)
            return target

        return change

    def permit(path, mode, **_):
        resolved = told("os.chmod", path, "chmod")
        disk.modes[resolved] = mode & 0o777
        sink("permission", "os.chmod", resolved, mode=mode)

    def changed(path):
        disk.cwd = told("os.chdir", path, "chdir")

    def readlink(path, **_):
        raise OSError(errno.EINVAL, "Invalid argument", str(path))

    def write_number(number, data):
        file = disk.open.get(number)
        return file.write(data) if file is not None else len(data)

    def read_number(number, count=-1):
        file = disk.open.get(number)
        return file.read(count) if file is not None else b""

    def archived(extension):
        def opened_archive(path, mode="r", *args, **keywords):
            if isinstance(path, (str, os.PathLike)) and "r" in mode:
                resolved = disk.resolve(path)
                packed = ".gz" if resolved.endswith("gz") and extension == ".tar" else extension
                disk.files.setdefault(resolved, archive(packed, state.token))
            return opened(path, mode, *args, **keywords)

        return opened_archive

    builtins.open = io.open = opened
    io.open_code = lambda path: opened(path, "rb")
    io.FileIO = lambda path, mode="r", *_, **__: opened(path, mode.replace("b", "") + "b")
    tarfile.bltn_open = archived(".tar")
    zipfile.io = types.SimpleNamespace(**{**vars(io), "open": archived(".zip")})
    replaced = {
        "open": os_open, "stat": status, "lstat": status, "listdir": listed, "scandir": scanned,
        "remove": forget("os.remove"), "unlink": forget("os.unlink"), "rmdir": forget("os.rmdir"),
        "removedirs": forget("os.removedirs"), "mkdir": make("os.mkdir"),
        "makedirs": make("os.makedirs"), "rename": move("os.rename"), "renames": move("os.renames"),
        "replace": move("os.replace"), "link": move("os.link"), "symlink": move("os.symlink"),
        "chmod": permit, "lchmod": permit, "chdir": changed, "getcwd": lambda: disk.cwd,
        "getcwdb": lambda: disk.cwd.encode(), "readlink": readlink, "write": write_number,
        "read": read_number, "close": lambda number: None, "fsync": lambda number: None,
        "access": lambda path, mode, **_: disk.exists(disk.resolve(path)),
        "chown": lambda *_, **__: None, "lchown": lambda *_, **__: None,
        "utime": lambda *_, **__: None, "truncate": lambda *_, **__: None,
        "umask": lambda mask: 0o022, "fstat": status, "mkfifo": make("os.mkfifo"),
        "fdopen": lambda number, mode="r", *_, **__: opened(number, mode),
        "chroot": changed, "statvfs": lambda path: status(path),
    }  # fmt: skip
    for name, function in replaced.items():
        setattr(os, name, function)
    for name in ("exists", "isdir", "isfile", "islink", "lexists", "getsize", "getmtime"):
        real = getattr(genericpath, name, None) or getattr(posixpath, name)
        setattr(os.path, name, getattr(os.path, name, real))
    os.path.realpath = lambda path, *_, **__: (
        os.fsencode(disk.resolve(path)) if isinstance(path, bytes) else disk.resolve(path)
    )
    os.path.ismount = lambda path: disk.resolve(path) == "/"
    os.path.expanduser = lambda path: str(os.fspath(path)).replace("~", "/home/user", 1)
    pathlib.Path.home = classmethod(lambda cls: cls("/home/user"))
    pathlib.Path.expanduser = lambda self: type(self)(os.path.expanduser(self))
    pathlib.Path.owner = pathlib.Path.group = lambda self, **_: "user"
    _install_copies(disk, told)
    _install_temporary(disk, opened, told, sink)
    return disk, opened


def _install_copies(disk, told):
    def copied(api):
        def copy(source, target, *_, **__):
            first, second = told(api, source, "r"), told(api, target, "w")
            if disk.is_folder(second):
                second = posixpath.join(second, posixpath.basename(first))
            disk.files[second] = disk.content(first)
            return target

        return copy

    def removed(path, *_, **__):
        disk.gone.add(told("shutil.rmtree", path, "delete"))

    for name in ("copy", "copy2", "copyfile", "copytree", "move", "copymode", "copystat"):
        setattr(shutil, name, copied("shutil." + name))
    shutil.rmtree = removed
    shutil.which = lambda name, *_, **__: "/usr/bin/" + str(name)
    shutil.chown = lambda *_, **__: None
    shutil.disk_usage = lambda path: (10**12, 10**11, 9 * 10**11)
    shutil.get_terminal_size = os.get_terminal_size = lambda *_, **__: os.terminal_size((80, 24))


def _install_temporary(disk, opened, told, sink):
    count = iter(range(10**9))

    def fresh(suffix=None, prefix=None, dir=None):
        folder = "/tmp" if dir is None else os.fspath(dir)
        return f"{folder}/{prefix or 'tmp'}{next(count):08d}{suffix or ''}"

    def insecure(suffix="", prefix="tmp", dir=None):
        path = fresh(suffix, prefix, dir)
        sink("weak", "tempfile.mktemp", path, cwe=[377, 379])
        return path

    def pair(suffix=None, prefix=None, dir=None, text=False):
        path = fresh(suffix, prefix, dir)
        file = opened(path, "w+b")
        disk.modes[path] = 0o600
        return file.fileno(), path

    def folder(suffix=None, prefix=None, dir=None):
        path = fresh(suffix, prefix, dir)
        disk.folders.add(path)
        return path

    def file(mode="w+b", buffering=-1, encoding=None, newline=None, suffix=None, prefix=None,
             dir=None, delete=True, **_):  # fmt: skip
        path = fresh(suffix, prefix, dir)
        disk.modes[path] = 0o600
        return opened(path, mode)

    class Folder:
        def __init__(self, *args, **keywords):
            self.name = folder(*args[:3])

        def __enter__(self):
            return self.name

        def __exit__(self, *_):
            return None

        def cleanup(self):
            return None

    tempfile.mktemp, tempfile.mkstemp, tempfile.mkdtemp = insecure, pair, folder
    tempfile.NamedTemporaryFile = tempfile.TemporaryFile = file
    tempfile.SpooledTemporaryFile = lambda max_size=0, *args, **keywords: file(*args, **keywords)
    tempfile.TemporaryDirectory = Folder
    tempfile.gettempdir = lambda: "/tmp"
    tempfile.tempdir = "/tmp"
    # Imported here so that they hold what was replaced above.
    glob.os, ntpath.os = os, os
