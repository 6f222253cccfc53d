"""The two keys of a capture: the public one seals, and only the private one opens.

What is sealed is sealed by libsodium's sealed boxes (X25519, XSalsa20, Poly1305): whoever seals
cannot open it again. A sealed text tells how long it is and to whom it goes, not from whom it is:
whoever has the public key can make one. Keys carry a check, so that none is used that was mistyped.
"""

import base64
import hashlib
import os
from pathlib import Path
from typing import Final

import nacl.exceptions
import nacl.public

from bluecode.proxy.config import ConfigError

PUBLIC: Final = "bluecode-public-"
PRIVATE: Final = "bluecode-private-"
_CHECK: Final = 4


class NotOpened(Exception):
    """Sealed for another key, or not whole."""


class Seal:
    """Seals for one who has the private key."""

    def __init__(self, text: str) -> None:
        """Raises `ConfigError` for what is no public key."""
        raw = _read(text, PUBLIC)
        self.name = _name(raw)
        """Tells one key from another."""
        self._box = nacl.public.SealedBox(nacl.public.PublicKey(raw))

    def seal(self, text: bytes) -> bytes:
        return self._box.encrypt(text)


class Opener:
    """Opens what was sealed with the public key that belongs to it."""

    def __init__(self, text: str) -> None:
        """Raises `ConfigError` for what is no private key."""
        key = nacl.public.PrivateKey(_read(text, PRIVATE))
        self.name = _name(bytes(key.public_key))
        self._box = nacl.public.SealedBox(key)

    @classmethod
    def read(cls, path: Path) -> "Opener":
        """Raises `ConfigError` where the file cannot be read or holds none."""
        try:
            return cls(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"The private key cannot be read: {error}.") from error

    def open(self, sealed: bytes) -> bytes:
        """Raises `NotOpened`."""
        try:
            return self._box.decrypt(sealed)
        except (nacl.exceptions.CryptoError, ValueError, TypeError) as error:
            raise NotOpened from error


def make(path: Path) -> str:
    """Write a new private key to a file that only its owner reads; the public key to it.

    Raises `ConfigError` where the file is there already or cannot be made."""
    key = nacl.public.PrivateKey.generate()
    try:
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError as error:
        raise ConfigError(f"`{path}` is there already; what it opens would be lost.") from error
    except OSError as error:
        raise ConfigError(f"`{path}` cannot be made: {error.strerror}.") from error
    with os.fdopen(file, "w", encoding="utf-8") as opened:
        opened.write(_written(bytes(key), PRIVATE) + "\n")
    return _written(bytes(key.public_key), PUBLIC)


def _name(raw: bytes) -> str:
    return hashlib.sha256(raw).hexdigest()[:16]


def _written(raw: bytes, kind: str) -> str:
    return kind + base64.urlsafe_b64encode(raw + _check(raw, kind)).decode()


def _read(text: str, kind: str) -> bytes:
    given = text.strip()
    if kind == PUBLIC and given.startswith(PRIVATE):
        raise ConfigError("This is the private key, which must not be here; give the public one.")
    try:
        if not given.startswith(kind):
            raise ValueError
        whole = base64.b64decode(given.removeprefix(kind), altchars=b"-_", validate=True)
    except ValueError as error:
        raise ConfigError(f"The key must begin with {kind} and be whole.") from error
    raw, check = whole[:-_CHECK], whole[-_CHECK:]
    if len(raw) != nacl.public.PublicKey.SIZE or check != _check(raw, kind):
        raise ConfigError("The key is not whole; copy it anew.")
    return raw


def _check(raw: bytes, kind: str) -> bytes:
    return hashlib.sha256(kind.encode() + raw).digest()[:_CHECK]
