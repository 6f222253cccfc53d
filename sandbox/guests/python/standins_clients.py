"""HTTP client libraries: one client stands in for all of them."""

import types
import urllib.parse

from recording import plain
from scopes import Scope
from standins_network import Answer


class Connector:
    """`aiohttp.TCPConnector`: whether its connections check certificates."""

    def __init__(self, *_, ssl=True, verify_ssl=True, **__):
        unchecked = ssl is False or verify_ssl is False or getattr(ssl, "unchecked", False)
        self.verify = not unchecked


def providers(unknown, told):
    """HTTP client libraries, by module name."""
    methods = ("get", "post", "put", "patch", "delete", "head", "options")

    def client(api):
        class Client(Scope):
            verify = True
            trust_env = True

            def __init__(self, base_url="", *args, **keywords):
                self._base = base_url if isinstance(base_url, str) else ""
                connector = keywords.get("connector")
                self.verify = keywords.get("verify", getattr(connector, "verify", True))
                self.headers, self.cookies, self.auth, self.proxies = {}, {}, None, {}

            def _send(self, method, url="", **keywords):
                keywords.setdefault("verify", self.verify)
                full = urllib.parse.urljoin(self._base, plain(url)) if self._base else url
                return told(f"{api}.{method}", full, **keywords)

            def request(self, method="", url="", **keywords):
                return self._send("request", url, **keywords)

            stream = send = build_request = ws_connect = request

            def __getattr__(self, name):
                if name.startswith("__"):
                    raise AttributeError(name)
                return unknown(f"{api}.{name}")

            def close(self):
                return Answer()

            aclose = mount = close

        for method in methods:
            setattr(Client, method, _method(method))
        return Client

    def _method(method):
        def call(self, url="", *_, **keywords):
            return self._send(method, url, **keywords)

        return call

    def library(api):
        def provide(module):
            made = client(api)
            whole = made()
            for method in methods:
                setattr(module, method, getattr(whole, method))
            module.request = module.stream = whole.request
            for name in ("Session", "session", "Client", "AsyncClient", "ClientSession",
            "PoolManager",
                         "Http", "HTTPClient", "AsyncHTTPClient"):  # fmt: skip
                setattr(module, name, made)
            module.TCPConnector = Connector
            errors = ("RequestException", "HTTPError", "ConnectionError", "Timeout", "ClientError",
                      "SSLError", "InvalidURL", "RequestError", "TimeoutException",
                      "HTTPStatusError")  # fmt: skip
            kinds = {name: type(name, (OSError,), {}) for name in errors}
            module.exceptions = types.SimpleNamespace(**kinds)
            for name, kind in kinds.items():
                setattr(module, name, kind)

        return provide

    return {name: library(name) for name in ("requests", "httpx", "aiohttp", "urllib3", "httplib2")}
