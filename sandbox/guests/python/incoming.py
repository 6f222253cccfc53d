"""What comes in with a request: one request that has every field of every framework.

Each field is a source of its own; which exist is not asked, every key is there.
"""

import io
import types
import urllib.parse

from given import Fields, Given


class Upload:
    """A file that came with a request; its name is what the client says."""

    content_type = mimetype = "text/plain"
    size = content_length = 24

    def __init__(self, sources, name, disk_open):
        self._sources, self._name, self._open = sources, name, disk_open
        self.headers = {}

    @property
    def filename(self):
        return Given(self._sources.text(f"{self._name}.file_name"), self._sources)

    name = filename

    @property
    def stream(self):
        return io.BytesIO(self.read())

    file = stream

    def save(self, target, *_, **__):
        if isinstance(target, (str, bytes)) or hasattr(target, "__fspath__"):
            self._open(target, "wb").close()

    def read(self, *_):
        return Bytes(self._sources.text(f"{self._name}.content").encode())

    def chunks(self, *_):
        return [self.read()]

    def seek(self, *_):
        return 0

    def tell(self):
        return 24

    def close(self):
        return None

    def __iter__(self):
        return iter([self.read()])


class Bytes(bytes):
    """Bytes that may also be awaited, as `await request.body()` is."""

    def __await__(self):
        yield from ()
        return bytes(self)

    def __call__(self, *_, **__):
        return self


class Files(Fields):
    def __init__(self, sources, disk_open):
        super().__init__(sources, "files")
        self._open = disk_open

    def __missing__(self, key):
        return Upload(self._sources, f"files:{key}", self._open)

    def getlist(self, key, type=None):
        return [self[key]]


class Request:
    """Every framework's request."""

    method = "POST"
    remote_addr = "192.0.2.7"
    scheme = "https"
    is_json = is_secure = True
    content_type = mimetype = "application/json"
    content_length = 64
    endpoint = "index"
    blueprint = None
    encoding = charset = "utf-8"

    def __init__(self, sources, unknown, disk_open, database):
        self._unknown = unknown
        fields = {
            "args": "query", "form": "form", "values": "form", "GET": "query", "POST": "form",
            "query_params": "query", "query": "query", "params": "query", "json": "json",
            "data_fields": "form", "cookies": "cookies", "headers": "headers", "META": "headers",
            "COOKIES": "cookies", "match_info": "path", "path_params": "path", "view_args": "path",
            "rel_url": "query", "query_arguments": "query", "body_arguments": "form",
            "matchdict": "path", "forms": "form", "REQUEST": "query", "json_body": "json",
        }  # fmt: skip
        for name, kind in fields.items():
            setattr(self, name, Fields(sources, kind))
        self.files = self.FILES = Files(sources, disk_open)
        self._sources = sources
        self.user = unknown("request.user")
        self.session = self.state = self.g = Session()
        self.app = unknown("request.app")
        self.environ = self.META
        self.client = types.SimpleNamespace(host="192.0.2.7", port=5000)

    @property
    def data(self):
        return Bytes(self._sources.text("body:data").encode())

    body = raw_post_data = stream_body = data

    def get_data(self, *_, as_text=False, **__):
        return self.data.decode() if as_text else self.data

    read = get_data

    def get_json(self, *_, **__):
        return self.json

    def text(self):
        return Bytes(self.data)

    @property
    def stream(self):
        return io.BytesIO(self.data)

    rfile = stream

    @property
    def path(self):
        return "/" + self._sources.text("path:path")

    @property
    def full_path(self):
        return self.path + "?"

    def get_full_path(self):
        return self.path

    @property
    def url(self):
        return Given("https://example.com" + self.path, self._sources, "path:path")

    base_url = uri = url
    host = host_url = url_root = "example.com"

    def get_host(self):
        return "example.com"

    def build_absolute_uri(self, location=None):
        return urllib.parse.urljoin("https://example.com/", location or "/")

    def get(self, key, default=None):
        return self.args[key]

    __getitem__ = get

    def get_argument(self, key, default=None, strip=True):
        return self.args[key]

    get_query_argument = get_body_argument = get_cookie = param = get_argument

    def has_key(self, key):
        return True

    __contains__ = has_key

    def getlist(self, key):
        return [self.args[key]]

    get_arguments = getlist

    def is_ajax(self):
        return False

    def multipart(self):
        return self._unknown("request.multipart")

    async def post(self):
        return self.form

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self._unknown("request." + name)


class Session(dict):
    """A server-side session: what is in it was put there by the application."""

    sources = None
    """A class attribute that the world sets."""

    def __missing__(self, key):
        if self.sources.unknown:
            return self.sources.text(f"u:session.{key}")
        return 1 if str(key).endswith("id") else "value"

    def get(self, key, default=None):
        return self[key]

    def __contains__(self, key):
        return True

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def __setattr__(self, name, value):
        self[name] = value
