"""Commands and processes: nothing is ever run, what would have been is told."""

import io
import os
import signal
import subprocess
import sys

from recording import plain


class Completed:
    """Stands for `CompletedProcess`, `Popen` and an asyncio process."""

    def __init__(self, args="", text=True):
        empty = "done\n" if text else b"done\n"
        self.args, self.returncode, self.pid = args, 0, 4242
        self._empty = empty
        file = io.StringIO if text else io.BytesIO
        self.stdin, self.stdout, self.stderr = file(), empty, "" if text else b""

    def communicate(self, *_, **__):
        return self._empty, self.stderr

    def wait(self, *_, **__):
        return 0

    poll = wait

    def check_returncode(self):
        return None

    kill = terminate = send_signal = check_returncode

    def __call__(self, *_, **__):
        return None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        return False


class Running(Completed):
    def __init__(self, args="", text=False):
        super().__init__(args, text)
        file = io.StringIO if text else io.BytesIO
        self.stdout, self.stderr, self._error = file(self._empty), file(), "" if text else b""

    def communicate(self, *_, **__):
        return self._empty, self._error


def install(sink):
    def told(api, command, shell):
        if shell or isinstance(command, (str, bytes)):
            words = command if isinstance(command, (str, bytes)) else plain(command)
            sink("shell" if shell else "argv", api, words, shell=bool(shell))
            return
        items = (
            [plain(item) for item in command]
            if isinstance(command, (list, tuple))
            else [plain(command)]
        )
        if len(items) > 2 and items[0].rpartition("/")[2] in SHELLS and items[1] in RUNS_TEXT:
            sink("shell", api, items[2], shell=True)
        else:
            sink("argv", api, " ".join(items), argv=items[:12])

    def runs(api, make):
        def run(args, *_, shell=False, **keywords):
            text = (
                keywords.get("text")
                or keywords.get("universal_newlines")
                or keywords.get("encoding")
            )
            told(api, args, shell)
            return make(args, bool(text))

        return run

    def output(args, text):
        return "done\n" if text else b"done\n"

    made = {
        "run": Completed, "Popen": Running, "call": lambda *_: 0, "check_call": lambda *_: 0,
        "check_output": output,
    }  # fmt: skip
    for name, make in made.items():
        setattr(subprocess, name, runs("subprocess." + name, make))

    def text_runs(api, result):
        def run(command="", *_, **__):
            told(api, command, True)
            return result() if callable(result) else result

        return run

    subprocess.getoutput = text_runs("subprocess.getoutput", "done")
    subprocess.getstatusoutput = text_runs("subprocess.getstatusoutput", (0, "done"))
    os.system = text_runs("os.system", 0)
    os.popen = text_runs("os.popen", lambda: Pipe("done\n"))

    def replaced(api):
        def execute(path, *args, **__):
            sink("argv", api, plain([path, *args]))
            raise SystemExit(0)

        return execute

    def spawned(api):
        def spawn(mode, path, *args, **__):
            sink("argv", api, plain([path, *args]))
            return 0

        return spawn

    for name in ("execl", "execle", "execlp", "execlpe", "execv", "execve", "execvp", "execvpe"):
        setattr(os, name, replaced("os." + name))
    for name in ("spawnl", "spawnle", "spawnlp", "spawnlpe", "spawnv", "spawnve", "spawnvp",
                 "spawnvpe"):  # fmt: skip
        setattr(os, name, spawned("os." + name))
    os.posix_spawn = os.posix_spawnp = lambda path, argv, env, **_: (
        sink("argv", "os.posix_spawn", plain(list(argv))) or 0
    )
    os.startfile = lambda path, *_: sink("argv", "os.startfile", path)
    os.fork = os.forkpty = lambda: 4242
    os.kill = os.killpg = lambda *_: None
    os.wait = lambda: (4242, 0)
    os.waitpid = lambda *_: (4242, 0)
    os.getpid = os.getppid = lambda: 4242
    os.getuid = os.geteuid = os.getgid = os.getegid = lambda: 1000
    os.setuid = os.setgid = os.setsid = os.nice = lambda *_: None
    os.getlogin = lambda: "user"
    os.cpu_count = lambda: 2
    os._exit = lambda code=0: sys.exit(code)
    os.abort = lambda: sys.exit(134)
    os.uname = lambda: os.uname_result(("Linux", "host", "6.1", "1", "x86_64"))
    signal.signal = lambda *_: None
    signal.alarm = lambda *_: 0
    return told


SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh", "cmd", "cmd.exe", "powershell", "pwsh"})
RUNS_TEXT = frozenset({"-c", "-lc", "/c", "/C", "-Command", "-command"})


class Pipe(io.StringIO):
    """What `os.popen` gives."""

    def close(self):
        return None
