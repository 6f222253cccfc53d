"""What a person or another program types: arguments, options, lines, the environment."""

import argparse
import builtins
import gettext
import importlib
import io
import os
import sys

from recording import plain


class Environ(dict):
    """`os.environ`: the usual variables are what they are, any other is a source."""

    def __init__(self, sources):
        super().__init__(HOME="/home/user", PATH="/usr/bin:/bin", USER="user", LANG="C.UTF-8",
                         PWD="/srv/app")  # fmt: skip
        self._sources = sources

    def __missing__(self, key):
        return self._sources.text(f"environ:{key}")

    def get(self, key, default=None):
        if dict.__contains__(self, key):
            return dict.__getitem__(self, key)
        return self[key] if default is None else default

    def copy(self):
        return dict(self)


class Arguments(list):
    """`sys.argv`: as many arguments as one asks for."""

    def __init__(self, sources):
        super().__init__(["app.py"])
        self._sources = sources

    def __getitem__(self, at):
        if isinstance(at, slice):
            return [self[index] for index in range(*at.indices(2))]
        return "app.py" if at == 0 else self._sources.text(f"argv:{at}")

    def __len__(self):
        return 2

    def __iter__(self):
        return iter([self[0], self[1]])


class Typed(io.TextIOBase):
    """Standard input: lines of one source."""

    def __init__(self, sources):
        self._sources = sources
        self._left = 8

    def readable(self):
        return True

    def readline(self, *_):
        self._left -= 1
        return self._sources.text("input:line") + "\n" if self._left > 0 else ""

    def read(self, *_):
        return self._sources.text("input:line")

    def readlines(self, *_):
        return [self._sources.text("input:line") + "\n"]

    def __iter__(self):
        return iter(self.readlines())

    @property
    def buffer(self):
        return io.BytesIO(self.read().encode())


def install(sources):
    def ask(prompt=""):
        name = "".join(letter if letter.isalnum() else "_" for letter in plain(prompt).lower()[:30])
        return sources.text(f"input:{name.strip('_')}")

    _install_argparse(sources)
    builtins.input = ask
    os.environ = Environ(sources)
    os.getenv = os.environ.get
    os.putenv = os.unsetenv = lambda *_: None
    sys.argv = Arguments(sources)
    sys.stdin = Typed(sources)
    sys.setrecursionlimit = lambda limit: None
    getpass = importlib.import_module("getpass")
    getpass.getpass = ask
    getpass.getuser = lambda: "user"


def _install_argparse(sources):
    """A command line that has every option that a script asks for."""
    real = argparse.ArgumentParser.parse_args

    def line(parser):
        words = []
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                first = next(iter(action.choices), None)
                return words if first is None else [*words, first, *line(action.choices[first])]
            if action.nargs == 0 or action.dest in ("help", "version"):
                continue
            text = next(iter(action.choices), "") if action.choices else ""
            text = str(text) or sources.text("argv:" + action.dest)
            if action.type in (int, float) and sources.target is None:
                text = str(sources.number("argv:" + action.dest))
            words.append(f"{action.option_strings[-1]}={text}" if action.option_strings else text)
        return words

    def parse(self, args=None, namespace=None):
        return real(self, line(self) if args is None else args, namespace)

    argparse.ArgumentParser.parse_args = parse
    gettext.find = lambda *_, **__: None  # no message is translated
