"""What a language's guest is made of, verified, and the key of what is made from it.

Two files are committed, xz-compressed: the interpreter and its library. The harness is source code
beside them. Their state after initialisation is made on the machine that runs them: `builder.py`.
"""

from __future__ import annotations

import hashlib
import lzma
import platform
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from bluecode.sandbox.languages.language import Language
from bluecode.sandbox.limits import WASM_STACK
from bluecode.sandbox.outcome import SandboxUnavailable

HERE = Path(__file__).parent
GUESTS = HERE / "guests"
DIGESTS = HERE / "languages" / "guests.toml"

WASMTIME = "50.0.1"
ENGINE = f"fuel, epoch, speed, few features, memory apart, stack {WASM_STACK}"
"""The settings of `wasm.py` that compiled code depends on."""

TARGETS = {
    ("Linux", "x86_64"): "x86_64-unknown-linux-gnu",
    ("Linux", "aarch64"): "aarch64-unknown-linux-gnu",
}
"""Where guests are compiled for the least processor of a kind, so that a guest that was compiled in
an image runs on every machine that the image runs on. Measured on x86-64: it is no slower."""


@dataclass(frozen=True, slots=True)
class Part:
    """A committed file, not yet unpacked; its digest was checked when it was read."""

    packed: bytes
    digest: str
    content_digest: str

    def content(self) -> bytes:
        """The unpacked file. Raises `SandboxUnavailable` if it is not the one that was built."""
        content = lzma.decompress(self.packed)
        if hashlib.sha256(content).hexdigest() != self.content_digest:
            raise SandboxUnavailable("a guest unpacks to something else than `guests.toml` says")
        return content


@dataclass(frozen=True, slots=True)
class GuestSource:
    """All that a guest is made from."""

    language: Language
    wasm: Part
    library: Part
    harness: Mapping[str, bytes]

    @classmethod
    def load(
        cls, language: Language, harness: Path | None = None, guests: Path = GUESTS
    ) -> GuestSource:
        """Read and verify the parts; another harness may stand in for the language's own.

        Raises `SandboxUnavailable` for a file that is missing or not the one in `guests.toml`."""
        with DIGESTS.open("rb") as file:
            table = tomllib.load(file)[language.name]
        return cls(
            language,
            read_part(guests, table["wasm"]),
            read_part(guests, table["library"]),
            read_harness(harness or GUESTS / language.harness, language.suffix),
        )

    def files(self) -> dict[str, bytes]:
        """The file system during initialisation."""
        files = {f"/guest/{name}": text for name, text in self.harness.items()}
        return {self.language.library: self.library.content()} | files

    def key(self) -> str:
        """The name of what is made from this guest here; another key, another result."""
        digest = hashlib.sha256()
        for word in self._identity():
            digest.update(len(word).to_bytes(8, "little") + word)
        return digest.hexdigest()[:32]

    def _identity(self) -> Iterator[bytes]:
        yield self.wasm.digest.encode()
        yield self.library.digest.encode()
        for name, text in sorted(self.harness.items()):
            yield name.encode()
            yield text
        for word in (installed_wasmtime(), ENGINE, platform.system(), platform.machine()):
            yield word.encode()
        target = compile_target()
        yield processor_features() if target is None else target.encode()


def read_part(guests: Path, entry: Mapping[str, str]) -> Part:
    try:
        packed = (guests / entry["file"]).read_bytes()
    except OSError as error:
        raise SandboxUnavailable(f"the guest `{entry['file']}` cannot be read") from error
    digest = hashlib.sha256(packed).hexdigest()
    if digest != entry["sha256"]:
        raise SandboxUnavailable(
            f"the guest `{entry['file']}` has the digest {digest[:16]}…, not "
            f"{entry['sha256'][:16]}… as `guests.toml` says; install BlueCode again."
        )
    return Part(packed, digest, entry["content_sha256"])


def read_harness(folder: Path, suffix: str) -> dict[str, bytes]:
    found = {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*" + suffix)
    }
    if "harness" + suffix not in found:
        raise SandboxUnavailable(f"`{folder.name}` holds no harness{suffix}")
    return found


def installed_wasmtime() -> str:
    """The version, which must be the one whose private functions `wasm.py` knows."""
    found = version("wasmtime")
    if found != WASMTIME:
        raise SandboxUnavailable(
            f"`wasmtime` is {found}; the sandbox is made for {WASMTIME}: install that version."
        )
    return found


def compile_target() -> str | None:
    """What guests are compiled for here; None for processors like this one."""
    return TARGETS.get((platform.system(), platform.machine()))


def processor_features() -> bytes:
    """What compiled code may rely on; empty where the system does not tell, and wasmtime, which
    checks when it loads the code, is the only guard."""
    try:
        lines = Path("/proc/cpuinfo").read_text(errors="replace").splitlines()
    except OSError:
        return b""
    wanted = ("flags", "Features")
    return "\n".join(sorted({line for line in lines if line.startswith(wanted)})).encode()
