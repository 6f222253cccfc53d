"""Hashes, ciphers, keys, tokens and randomness: weak choices are told when used on data."""

import hashlib
import hmac
import os
import random
import sys
import types

from recording import plain

PREDICTABLE = ("random", "randint", "choice", "choices", "sample", "randrange", "uniform",
               "getrandbits",
               "shuffle", "randbytes")  # fmt: skip
BROKEN = ("md5", "sha1", "md4", "ripemd160")


def install(state, sources, sink):
    def weak(name, real):
        def make(data=b"", *args, usedforsecurity=True, **keywords):
            if usedforsecurity:
                sink("hash", "hashlib." + name, name, also=data, cwe=[327, 328, 916])
            return Digest(real(data, *args, **keywords), name, sink)

        return make

    for name in ("md5", "sha1"):
        setattr(hashlib, name, weak(name, getattr(hashlib, name)))
    real_new = hashlib.new

    def new(name, data=b"", *, usedforsecurity=True, **_):
        if name.lower() in BROKEN and usedforsecurity:
            return weak(name.lower(), lambda data: real_new("sha256", data))(data)
        return real_new(name, data)

    hashlib.new = new
    real_derive = getattr(hashlib, "pbkdf2_hmac", None)

    def derive(name, password, salt, iterations, dklen=None):
        sink("salt", "hashlib.pbkdf2_hmac", bytes(salt).hex(), also=password, iterations=iterations)
        if real_derive is not None and iterations <= 3:
            return real_derive(name, password, salt, iterations, dklen)
        return hmac.digest(salt or b"0", bytes(password), "sha512")[: dklen or 32]

    hashlib.pbkdf2_hmac = derive

    def scrypt(password, *, salt=b"", n=2, r=8, p=1, maxmem=0, dklen=64):
        sink("salt", "hashlib.scrypt", bytes(salt).hex(), also=password, iterations=n)
        return hmac.digest(salt or b"0", bytes(password), "sha512")[:dklen]

    hashlib.scrypt = scrypt
    real_compare = hmac.compare_digest

    def compare(first, second):
        """A benign caller knows the right value; an attacker does not."""
        same = real_compare(plain(first).encode(), plain(second).encode())
        if sources.target is None and (state.tainted(first) or state.tainted(second)):
            state.vouched = True
            return True
        return same

    hmac.compare_digest = compare
    _install_random(sink)


class Digest:
    """A hash object of a broken algorithm: data that comes later is told too."""

    def __init__(self, real, name, sink):
        self._real, self._name, self._sink = real, name, sink

    def update(self, data):
        self._sink("hash", "hashlib." + self._name, self._name, also=data, cwe=[327, 328, 916])
        self._real.update(data)

    def __getattr__(self, name):
        return getattr(self._real, name)


def _install_random(sink):
    """The functions of `random` itself are predictable; `SystemRandom` and `secrets` are not."""

    def wrap(name, real):
        def call(*args, **keywords):
            sink("random", "random." + name, name)
            return real(*args, **keywords)

        return call

    for name in PREDICTABLE:
        setattr(random, name, wrap(name, getattr(random, name)))
    count = iter(range(1, 10**9))
    os.urandom = random._urandom = lambda size: (
        hashlib.sha512(b"%d" % next(count)).digest()[:size].ljust(size, b"\7")
    )


class Key:
    """A key, a certificate or a public key of any library."""

    def __init__(self, size=2048):
        self._size = size

    def export_key(self, *_, **__):
        return b"-----BEGIN KEY-----"

    exportKey = private_bytes = public_bytes = export_key

    def publickey(self, *_, **__):
        return self

    public_key = public_key_ = private_numbers = public_numbers = publickey

    def size_in_bits(self):
        return self._size

    key_size = property(size_in_bits)

    def encrypt(self, data, *_, **__):
        return b"encrypted"

    sign = decrypt = exchange = encrypt

    def verify(self, *_, **__):
        return True


def providers(unknown, sink):
    """Cryptography packages, by module name."""

    class Cipher:
        iv = nonce = b"0" * 16

        def encrypt(self, data, *_, **__):
            return b"e" * (len(data) if hasattr(data, "__len__") else 16)

        decrypt = update = encrypt

        def encrypt_and_digest(self, data):
            return self.encrypt(data), b"t" * 16

        def decrypt_and_verify(self, data, *_):
            return self.encrypt(data)

        def digest(self):
            return b"t" * 16

        def finalize(self):
            return b""

        def encryptor(self):
            return self

        decryptor = encryptor
        tag = b"t" * 16

    def legacy(name):
        def provide(module):
            module.block_size = 8
            module.key_size = 16
            for at, mode in enumerate(("ECB", "CBC", "CFB", "OFB", "CTR", "GCM", "EAX", "SIV"), 1):
                setattr(module, "MODE_" + mode, at)

            def new(key=b"", mode=1, iv=None, **keywords):
                if name in ("DES", "DES3", "ARC4", "ARC2", "Blowfish", "XOR", "CAST"):
                    sink("weak", name, f"{name} encrypts", cwe=[327])
                elif mode == 1:
                    sink("weak", name, f"{name} in ECB mode encrypts", cwe=[327])
                given = iv if iv is not None else keywords.get("IV", keywords.get("nonce"))
                if isinstance(given, (bytes, bytearray)):
                    sink("iv", name + ".new", bytes(given).hex())
                return Cipher()

            module.new = new

        return provide

    def keys(name):
        def provide(module):
            def generate(bits=2048, *_, key_size=None, **__):
                size = key_size or (bits if isinstance(bits, int) and bits > 100 else 2048)
                if size < 2048:
                    sink("weak", name + ".generate", f"a {name} key of {size} bits", cwe=[326])
                return Key(size)

            def generate_exponent(public_exponent=65537, key_size=2048, *_, **__):
                return generate(key_size)

            module.generate = generate
            module.generate_private_key = generate if name == "DSA" else generate_exponent
            module.import_key = module.importKey = module.construct = lambda *_, **__: Key()

        return provide

    def hash_of(name):
        def provide(module):
            def new(data=b"", *_, **__):
                if name.lower() in BROKEN:
                    return hashlib.md5(data)
                return hashlib.sha256(data)

            module.new = new

        return provide

    def padding(module):
        module.pad = lambda data, size=16, *_: data + b"\1" * (size - len(data) % size)
        module.unpad = lambda data, *_: data

    def random_bytes(module):
        module.get_random_bytes = os.urandom

    def ciphers(module):
        module.Cipher = lambda algorithm, mode=None, *_, **__: Cipher()

    def algorithms(module):
        def broken(name):
            return lambda *_, **__: sink("weak", name, f"{name} encrypts", cwe=[327])

        for name in ("ARC4", "TripleDES", "Blowfish", "IDEA", "CAST5", "SEED"):
            setattr(module, name, broken(name))

    def modes(module):
        module.ECB = lambda *_: sink("weak", "ECB", "ECB mode encrypts", cwe=[327])
        for name in ("CBC", "CTR", "GCM", "CFB", "OFB"):
            setattr(
                module, name, lambda iv=b"", *_, name=name: sink("iv", name, plain(bytes(iv).hex()))
            )

    def fernet(module):
        module.Fernet = lambda *_: Cipher()
        module.Fernet.generate_key = lambda: b"a" * 44

    def jwt(module):
        errors = ("InvalidTokenError", "ExpiredSignatureError", "DecodeError", "PyJWTError",
        "JWTError",
                  "InvalidSignatureError")  # fmt: skip
        for name in errors:
            setattr(module, name, type(name, (Exception,), {}))

        def decode(token="", key="", algorithms=None, options=None, verify=True, **_):
            options = options or {}
            off = verify is False or options.get("verify_signature") is False
            names = [plain(name).lower() for name in algorithms or ()]
            if off or "none" in names:
                sink("weak", "jwt.decode", "the signature of the token is not checked", cwe=[347])
            return {"sub": "alpha", "user_id": 1}

        module.decode = decode
        module.encode = lambda *_, **__: "header.body.signature"

    found = {"jwt": jwt, "jose.jwt": jwt, "cryptography.fernet": fernet,
             "cryptography.hazmat.primitives.ciphers": ciphers,
             "cryptography.hazmat.primitives.ciphers.algorithms": algorithms,
             "cryptography.hazmat.primitives.ciphers.modes": modes,
             "cryptography.hazmat.primitives.asymmetric.rsa": keys("RSA"),
             "cryptography.hazmat.primitives.asymmetric.dsa": keys("DSA")}  # fmt: skip
    for root in ("Crypto", "Cryptodome"):
        for name in ("AES", "DES", "DES3", "ARC4", "ARC2", "Blowfish", "XOR", "CAST"):
            found[f"{root}.Cipher.{name}"] = legacy(name)
        for name in ("RSA", "DSA"):
            found[f"{root}.PublicKey.{name}"] = keys(name)
        for name in ("MD5", "SHA1", "SHA", "MD4", "SHA256", "SHA512"):
            found[f"{root}.Hash.{name}"] = hash_of({"SHA": "SHA1"}.get(name, name))
        found[f"{root}.Util.Padding"] = padding
        found[f"{root}.Random"] = random_bytes
    return found


def install_ctypes(unknown):
    """`ctypes` is not there; what is called by it is unknown."""
    module = types.ModuleType("ctypes")
    module.__getattr__ = lambda name: missing(unknown, name)
    module.__path__ = []
    sys.modules["ctypes"] = sys.modules["ctypes.util"] = module


def missing(unknown, name):
    if name.startswith("__"):
        raise AttributeError(name)
    return unknown("ctypes." + name)
