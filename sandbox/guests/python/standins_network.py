"""The network: requests are told with their URL and whether certificates were checked."""

import ftplib
import http.client
import io
import ipaddress
import smtplib
import socket
import sys
import types
import urllib.parse
import urllib.request

from recording import plain
from scopes import Awaited

PRIVATE_NAMES = {"localhost": "127.0.0.1", "metadata.google.internal": "169.254.169.254"}
PUBLIC = "93.184.215.14"
INTERNAL_SUFFIX = ".internal.example"  # our own name: it resolves to a private address


def lookup(host):
    """What a resolver would answer."""
    host = plain(host).strip("[]").rstrip(".").lower()
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        pass
    if (spelled := unusual(host)) is not None:
        return str(spelled)
    if host.endswith(INTERNAL_SUFFIX):
        return "10.0.0.5"
    return PRIVATE_NAMES.get(host, PUBLIC)


def unusual(host):
    """An address in one of the old spellings that resolvers accept: `2130706433`, `0x7f.1`."""
    try:
        parts = [int(part, 0 if part.startswith("0x") else 8 if part[:1] == "0" else 10)
                 for part in host.split(".")]  # fmt: skip
    except ValueError:
        return None
    if not 1 <= len(parts) <= 4 or any(part < 0 for part in parts):
        return None
    number = parts[-1]
    for at, part in enumerate(parts[:-1]):
        number += part << (24 - 8 * at)
    return ipaddress.IPv4Address(number) if number < 2**32 else None


class Answer(Awaited):
    """An HTTP answer of any client library; its body is a source of its own, never attacked."""

    status_code = status = code = 200
    ok = is_success = True
    is_redirect = False
    reason = reason_phrase = "OK"
    encoding = charset = "utf-8"
    url = "https://example.com/"
    text = '{"name": "value"}'
    content = data = text.encode()

    def __init__(self):
        self.headers = {"Content-Type": "application/json", "Content-Length": "17"}
        self.cookies, self.history = {}, []
        self.raw = io.BytesIO(self.content)
        self.elapsed = types.SimpleNamespace(total_seconds=lambda: 0.1)

    def json(self, **_):
        return Body()

    def read(self, *_):
        return self.content

    def getvalue(self):
        return self.content

    def getcode(self):
        return 200

    def geturl(self):
        return self.url

    def info(self):
        return self.headers

    getheaders = info

    def getheader(self, name, default=None):
        return self.headers.get(name, default)

    def iter_content(self, *_, **__):
        return iter([self.content])

    iter_bytes = iter_content

    def iter_lines(self, *_, **__):
        return iter(self.text.splitlines())

    def raise_for_status(self):
        return self

    def close(self):
        return None

    def __iter__(self):
        return iter([self.content])


class Body(dict):
    """Parsed JSON that has any key."""

    def __missing__(self, key):
        return "value"

    def get(self, key, default=None):
        return self[key]

    def __await__(self):
        yield from ()
        return self


def install(sink, sources):
    def told(api, url, **keywords):
        text = plain(getattr(url, "full_url", url))
        unchecked = keywords.get("verify") is False or keywords.get("ssl") is False
        unchecked = unchecked or getattr(keywords.get("context"), "unchecked", False)
        sink("url", api, text, unverified=bool(unchecked))
        if unchecked:
            sink("weak", api, "a connection whose certificate is not checked", cwe=[295])
        return Answer()

    def opener(request, data=None, timeout=None, *, context=None, **_):
        return told("urllib.request.urlopen", request, context=context)

    urllib.request.urlopen = opener
    urllib.request.urlretrieve = lambda url, *_, **__: (
        (told("urlretrieve", url), {})[:0] or ("/tmp/x", {})
    )
    urllib.request.OpenerDirector.open = lambda self, url, *_, **__: told("opener.open", url)
    _install_sockets(sink, told, sources)
    return told


def _install_sockets(sink, told, sources):
    class Connection:
        secure = False

        def __init__(self, host="", port=None, *_, **keywords):
            self.host, self._context = host, keywords.get("context")

        def request(self, method, url="/", *_, **__):
            full = url if "://" in plain(url) else f"http://{plain(self.host)}{plain(url)}"
            told("http.client.request", full, context=self._context)

        def putrequest(self, method, url, *_, **__):
            self.request(method, url)

        def getresponse(self):
            return Answer()

        def _nothing(self, *_, **__):
            return None

        putheader = endheaders = send = close = connect = set_debuglevel = set_tunnel = _nothing

    http.client.HTTPConnection = http.client.HTTPSConnection = Connection

    class Socket:
        def __init__(self, *_, **__):
            self._left = 1

        def connect(self, address):
            if isinstance(address, tuple):
                sink("url", "socket.connect", f"tcp://{plain(address[0])}:{plain(address[1])}/")

        connect_ex = lambda self, address: self.connect(address) or 0  # noqa: E731

        def bind(self, address):
            if isinstance(address, tuple) and address[0] in ("", "0.0.0.0", "::"):
                sink("weak", "socket.bind", plain(address), cwe=[605])

        def recv(self, *_):
            self._left -= 1
            return sources.text("socket:data").encode() if self._left >= 0 else b""

        def recvfrom(self, *_):
            return self.recv(), ("192.0.2.7", 1)

        def accept(self):
            raise OSError("no one connects")

        def makefile(self, *_, **__):
            return io.BytesIO(self.recv())

        def fileno(self):
            return 9

        def send(self, data, *_):
            return len(data)

        sendto = send

        def _nothing(self, *_, **__):
            return None

        sendall = listen = close = settimeout = setsockopt = shutdown = setblocking = _nothing
        getsockopt = do_handshake = detach = _nothing

        def getpeercert(self, *_, **__):
            return {}

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return False

    socket.socket = Socket

    def connected(address, *_, **__):
        made = Socket()
        made.connect(address)
        return made

    socket.create_connection = connected
    socket.gethostbyname = lookup
    socket.gethostbyname_ex = lambda host: (plain(host), [], [lookup(host)])
    socket.getaddrinfo = lambda host, port=0, *_, **__: [(2, 1, 6, "", (lookup(host), port or 0))]
    socket.getfqdn = socket.gethostname = lambda *_: "host"
    socket.gethostbyaddr = lambda host: ("host", [], [plain(host)])

    class Mail(Socket):
        def sendmail(self, sender, to, message, *_, **__):
            sink("mail", "smtplib.sendmail", plain(message), also=to)
            return {}

        def send_message(self, message, *_, **__):
            return {}

        login = starttls = ehlo = helo = quit = noop = Socket._nothing

    smtplib.SMTP = smtplib.SMTP_SSL = smtplib.LMTP = Mail

    class Files(Socket):
        def __init__(self, host="", *_, **__):
            if host:
                sink("url", "ftplib.FTP", f"ftp://{plain(host)}/")

        login = cwd = storbinary = retrbinary = quit = nlst = dir = Socket._nothing

    ftplib.FTP = ftplib.FTP_TLS = Files


def install_tls(sink):
    """`ssl`: a context remembers what was switched off, and a connection by it tells."""

    class Context:
        def __init__(self, *_, **__):
            self.check_hostname = True
            self.verify_mode = 2
            self.minimum_version = None

        @property
        def unchecked(self):
            return self.verify_mode == 0 or not self.check_hostname

        def wrap_socket(self, sock, *_, **__):
            if self.unchecked:
                sink(
                    "weak",
                    "ssl.wrap_socket",
                    "a connection whose certificate is not checked",
                    cwe=[295],
                )
            return sock

        def _nothing(self, *_, **__):
            return None

        load_cert_chain = load_verify_locations = set_ciphers = load_default_certs = _nothing

    def unchecked(*_, **__):
        made = Context()
        made.check_hostname, made.verify_mode = False, 0
        sink("weak", "ssl._create_unverified_context", "no certificate is checked", cwe=[295])
        return made

    module = types.ModuleType("ssl")
    module.SSLContext, module.create_default_context = Context, lambda *_, **__: Context()
    module._create_unverified_context = module._create_stdlib_context = unchecked
    module._create_default_https_context = module.create_default_context
    module.CERT_NONE, module.CERT_OPTIONAL, module.CERT_REQUIRED = 0, 1, 2
    for at, name in enumerate(("PROTOCOL_TLS", "PROTOCOL_TLS_CLIENT", "PROTOCOL_TLS_SERVER",
                               "PROTOCOL_SSLv2", "PROTOCOL_SSLv3", "PROTOCOL_SSLv23",
                               "PROTOCOL_TLSv1", "PROTOCOL_TLSv1_1", "PROTOCOL_TLSv1_2",
                               "OP_NO_SSLv2", "OP_NO_SSLv3", "OP_NO_TLSv1", "OP_NO_TLSv1_1",
                               "OP_ALL", "HAS_SNI")):  # fmt: skip
        setattr(module, name, at)
    module.SSLError = module.SSLCertVerificationError = module.CertificateError = type(
        "SSLError", (OSError,), {}
    )
    module.Purpose = types.SimpleNamespace(SERVER_AUTH=1, CLIENT_AUTH=2)
    module.TLSVersion = types.SimpleNamespace(TLSv1=1, TLSv1_1=2, TLSv1_2=3, TLSv1_3=4)
    module.match_hostname = lambda *_: None
    module.wrap_socket = lambda sock, *_, **keywords: Context().wrap_socket(sock)
    module.OPENSSL_VERSION = "OpenSSL 3"
    sys.modules["ssl"] = module
