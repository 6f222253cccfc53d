"""Files: paths that others decide, archives, uploads, temporary files, permissions."""

import ast
import re
from collections.abc import Callable, Mapping

from bluecode.defenses.checkers import python_scores as scores
from bluecode.defenses.checkers.python_injection import live
from bluecode.defenses.checkers.python_names import words
from bluecode.defenses.checkers.python_state import Call, Run
from bluecode.defenses.checkers.python_values import (
    Level,
    Part,
    Value,
    all_tags,
    is_constant,
)

_TEMPORARY = re.compile(r"^(?:/tmp|/var/tmp|/dev/shm|[cC]:\\[tT]emp)[/\\]")
_CONFINING = frozenset(
    "base root safe allowed trusted upload uploads static public sandbox jail chroot media basedir "
    "rootdir webroot docroot".split()
)
_EVERYONE_WRITES = 0o002
_EVERYONE_READS = 0o004
_LOOSE_NAMES = ("S_IRWXO", "S_IWOTH", "S_IXOTH")


def _used(run: Run, call: Call, path: Value | None) -> None:
    """A path that is about to be opened, removed, listed or sent."""
    if path is None:
        return
    tags = live(call, path, "path")
    if not tags:
        return
    if any(tag.root.startswith("archive") for tag in tags):
        run.claim("archive_traversal", call.node, 0.78, Level.STORED)
        return
    level = tags[0].level
    if level < Level.REQUEST and not _inside_base(call, path):
        return
    found = scores.score(scores.FILES, tags)
    if found >= scores.WORTH_SAYING:
        run.claim("path_traversal", call.node, found, level)


def _inside_base(call: Call, path: Value) -> bool:
    """Whether something fixed stands before the part that somebody else decides."""
    if not path.composed:
        return False
    before = ""
    for index, part in enumerate(path.parts):
        if isinstance(part, str):
            before += part
        elif call.state.live(part, "path"):
            inside = index > 0 and bool(re.search(r"[/\\]", before))
            return inside and not (part is path.parts[-1] and _callers(path.parts[0]))
    return False


def _callers(base: Part) -> bool:
    """Whether the base, too, is a parameter: who chooses it may name any file as it is.

    Not so where it is called something that confines: `safe_root`, `upload_dir`.
    """
    if isinstance(base, str):
        return False
    roots = [tag.root for tag in base if tag.root.startswith("param ")]
    return bool(roots) and not any(words(root) & _CONFINING for root in roots)


def _access(run: Run, call: Call) -> None:
    """`os.access` asks now what may be different when the file is opened."""
    if call.node.args:
        run.frame.asked.add(ast.dump(call.node.args[0]))


def refused(run: Run, node: ast.If) -> None:
    """`if os.path.exists(path): raise ...`: what is written there next must be new."""
    test = node.test
    _owned_then_used(run, node)
    if isinstance(test, ast.Call) and node.body and isinstance(node.body[-1], ast.Raise):
        last = getattr(test.func, "attr", "")
        if last in ("exists", "isfile", "lexists") and test.args:
            run.frame.vacant.add(ast.dump(test.args[0]))


def _owned_then_used(run: Run, node: ast.If) -> None:
    """`if os.stat(path).st_uid == uid: os.remove(path)`: it may be another file by then."""
    asked = {
        ast.dump(part.value.args[0])
        for part in ast.walk(node.test)
        if isinstance(part, ast.Attribute)
        and part.attr in ("st_uid", "st_gid", "st_mode")
        and isinstance(part.value, ast.Call)
        and part.value.args
    }
    for statement in node.body if asked else ():
        for part in ast.walk(statement):
            if isinstance(part, ast.Call) and part.args and ast.dump(part.args[0]) in asked:
                run.claim("race_condition", part, 0.52)


def _first(run: Run, call: Call) -> None:
    if call.last == "open" and call.node.args:
        if run.frame.asked and ast.dump(call.node.args[0]) in run.frame.asked:
            run.claim("race_condition", call.node, 0.6)
        elif run.frame.vacant and ast.dump(call.node.args[0]) in run.frame.vacant:
            mode = call.argument(1, "mode")
            if mode is not None and "w" in (mode.literal or ""):
                run.claim("race_condition", call.node, 0.5)
    _used(run, call, call.argument(0, "file") or call.argument(0, "path"))
    _temporary_literal(run, call)
    if call.last == "open":
        _secret_written(run, call)


def _both(run: Run, call: Call) -> None:
    """`shutil.copy(source, target)` and its like."""
    for path in call.args[:2]:
        _used(run, call, path)


def _own(run: Run, call: Call) -> None:
    """Methods of a path object."""
    if "path" in call.receiver.marks:
        _used(run, call, call.receiver)
        _secret_written(run, call)


def _sent(run: Run, call: Call) -> None:
    _used(run, call, call.argument(0, "path") or call.argument(0, "path_or_file"))


def _from_folder(run: Run, call: Call) -> None:
    """`send_from_directory` guards the name, not the folder."""
    folder = call.argument(0, "directory")
    if folder is not None and live(call, folder, "path"):
        _used(run, call, folder)


def _static_file(run: Run, call: Call) -> None:
    """bottle's `static_file(name, root=...)` guards the name."""
    _used(run, call, call.keyword("root"))


def _temporary_literal(run: Run, call: Call) -> None:
    path = call.argument(0, "file")
    mode = call.argument(1, "mode")
    literal = None if path is None else path.literal
    if literal is None and path is not None and path.parts and isinstance(path.parts[0], str):
        literal = path.parts[0]
    if literal and _TEMPORARY.match(literal) and mode is not None:
        if set(mode.literal or "r") & set("wa+"):
            run.claim("temporary_file", call.node, 0.52)


_RESTRICTS = frozenset("chmod fchmod umask mkstemp fdopen open_restricted".split())
_PRIVATE_NAMES = ("secret", "credential", "private", "passwd", "password")


def _secret_written(run: Run, call: Call) -> None:
    """A function that saves secrets leaves the file open to whoever the umask lets in."""
    mode = call.argument(1, "mode")
    writes = call.last in ("write_text", "write_bytes") or (
        mode is not None and bool(set(mode.literal or "") & set("wx"))
    )
    if not writes or run.called.all & _RESTRICTS or call.keyword("opener") is not None:
        return
    if _saves_secrets(run):
        run.claim("loose_permissions", call.node, 0.5)


def _saves_secrets(run: Run) -> bool:
    """Whether the function says by its name that what it writes is not for everybody."""
    spoken = words(run.frame.name)
    saves = spoken & frozenset("save store write dump export persist create generate".split())
    return bool(saves) and any(word.startswith(_PRIVATE_NAMES) for word in spoken)


def _guessable_name(run: Run, call: Call) -> None:
    run.claim("temporary_file", call.node, 0.8)


def _saved(run: Run, call: Call) -> None:
    """`upload.save(path)`: the name, then the type."""
    roots = {tag.root for tag in all_tags(call.receiver) if tag.level is Level.REQUEST}
    if not any("files" in root.lower() or "post" in root for root in roots):
        return
    path = call.argument(0, "dst")
    _used(run, call, path)
    tags = [] if path is None else call.state.live(all_tags(path), "upload")
    unchecked = call.state.live(all_tags(call.receiver), "upload")
    if unchecked and any(tag.level is Level.REQUEST for tag in tags):
        run.claim("unrestricted_upload", call.node, 0.62, Level.REQUEST)


def _unpacked(run: Run, call: Call) -> None:
    """`tar.extractall(folder)` without a filter or a list of members."""
    if not _is_tar(call):
        return
    given = call.keyword("filter")
    if given is not None and (given.literal or "data") in ("data", "tar"):
        return
    if call.keyword("members") is not None or len(call.args) > 1:
        run.claim("archive_traversal", call.node, 0.45)
        return
    checked = not call.state.live(all_tags(call.receiver), "path")
    if not (all_tags(call.receiver) and checked):
        run.claim("archive_traversal", call.node, 0.7)


def _extracted(run: Run, call: Call) -> None:
    member = call.argument(0)
    if _is_tar(call) and call.keyword("filter") is None and member is not None:
        if member.literal is None and live(call, member, "path"):
            run.claim("archive_traversal", call.node, 0.6)


def _is_tar(call: Call) -> bool:
    name = call.receiver.name.lower()
    return name.startswith("tarfile") or name.rpartition(".")[2] in ("tar", "tarball", "tf", "tgz")


def _unpack_any(run: Run, call: Call) -> None:
    if call.keyword("filter") is None:
        tags = live(call, call.argument(0), "path")
        if tags:
            run.claim("archive_traversal", call.node, 0.55, tags[0].level)


def _mode_set(run: Run, call: Call) -> None:
    mode = call.argument(1, "mode") if not _is_method(call) else call.argument(0, "mode")
    node = _argument_node(call, 1 if not _is_method(call) else 0, "mode")
    _judge_mode(run, call, mode, node, 0.78, 0.5 if _saves_secrets(run) else 0.0)


def _is_method(call: Call) -> bool:
    return "path" in call.receiver.marks


def _argument_node(call: Call, index: int, name: str) -> ast.expr | None:
    if index < len(call.node.args):
        return call.node.args[index]
    return next((item.value for item in call.node.keywords if item.arg == name), None)


def _judge_mode(
    run: Run, call: Call, mode: Value | None, node: ast.expr | None, written: float, read: float
) -> None:
    if mode is None:
        return
    if isinstance(mode.const, int) and not isinstance(mode.const, bool):
        if mode.const & _EVERYONE_WRITES:
            run.claim("loose_permissions", call.node, written)
        elif mode.const & _EVERYONE_READS and read:
            run.claim("loose_permissions", call.node, read)
    elif node is not None and any(name in ast.unparse(node) for name in _LOOSE_NAMES):
        run.claim("loose_permissions", call.node, written)


def _umask(run: Run, call: Call) -> None:
    mask = call.argument(0)
    if run.frame.targets:
        return  # The usual way to read the mask: set it, then set it back.
    if mask is not None and is_constant(mask) and mask.const == 0:
        run.claim("loose_permissions", call.node, 0.65)


def _created(run: Run, call: Call) -> None:
    """`os.open` and `os.makedirs` with a mode that lets everybody write."""
    index = 2 if call.name == "os.open" else 1
    mode, node = call.argument(index, "mode"), _argument_node(call, index, "mode")
    secret = _saves_secrets(run)
    _judge_mode(run, call, mode, node, 0.6, 0.5 if secret else 0.0)
    if secret and mode is None and call.name == "os.open" and not run.called.all & _RESTRICTS:
        run.claim("loose_permissions", call.node, 0.55)
    _used(run, call, call.argument(0, "path"))


Look = Callable[[Run, Call], None]

CALLS: Mapping[str, Look] = {
    **dict.fromkeys(
        "open io.open codecs.open aiofiles.open file os.remove os.unlink os.rmdir os.listdir "
        "os.scandir os.mkdir os.truncate shutil.rmtree os.walk os.removedirs gzip.open "
        "bz2.open lzma.open glob.glob glob.iglob os.stat zipfile.ZipFile tarfile.open "
        "linecache.getlines PIL.Image.open sqlite3.connect os.utime".split(),
        _first,
    ),
    **dict.fromkeys(
        "shutil.copy shutil.copy2 shutil.copyfile shutil.move shutil.copytree os.rename "
        "os.replace os.link os.symlink os.renames".split(),
        _both,
    ),
    **dict.fromkeys(
        "flask.send_file django.http.FileResponse starlette.responses.FileResponse "
        "fastapi.responses.FileResponse aiohttp.web.FileResponse sanic.response.file "
        "send_file FileResponse quart.send_file".split(),
        _sent,
    ),
    "flask.send_from_directory": _from_folder,
    "bottle.static_file": _static_file,
    **dict.fromkeys("tempfile.mktemp os.tempnam os.tmpnam".split(), _guessable_name),
    "os.access": _access,
    "shutil.unpack_archive": _unpack_any,
    **dict.fromkeys("os.chmod os.fchmod os.lchmod".split(), _mode_set),
    "os.umask": _umask,
    **dict.fromkeys("os.open os.makedirs os.mkfifo".split(), _created),
}
METHODS: Mapping[str, Look] = {
    **dict.fromkeys(
        "read_text read_bytes write_text write_bytes open unlink rmdir mkdir iterdir rename "
        "touch replace symlink_to glob rglob".split(),
        _own,
    ),
    "chmod": _mode_set,
    "extractall": _unpacked,
    "extract": _extracted,
    "save": _saved,
}
