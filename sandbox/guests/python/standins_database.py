"""Databases: statements are told with what was bound to them; every query finds a row."""

import sqlite3
import types

from recording import frame_above, plain
from scopes import Awaited, Done, unpacked


class Row:
    """A row that has every column. A stored password or token is no match for a given one."""

    sources = None
    """A class attribute that the world sets."""

    def __init__(self):
        self._values = (1, "alpha", "beta", "gamma", "delta", "epsilon")

    def __getitem__(self, key):
        if self.sources.unknown and not isinstance(key, slice):
            return self.sources.text(f"u:row.{key}")
        if isinstance(key, slice):
            return self._values[key]
        if isinstance(key, int):
            return self._values[key]
        return 1 if key in ("id", "count", "total") or str(key).endswith("_id") else str(key)

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self[name]

    def get(self, key, default=None):
        return self[key]

    def keys(self):
        return ["id", "name"]

    def items(self):
        return [("id", 1), ("name", "alpha")]

    def __iter__(self):
        count = unpacked(frame_above(1), 3)
        if self.sources.unknown:
            return iter([self[at] for at in range(count)])
        return iter((self._values + ("zeta",) * count)[:count])

    def __len__(self):
        return 3

    def _asdict(self):
        return dict(self.items())

    _mapping = property(_asdict)


def install(state, sink, unknown):
    """Returns the cursor-like class and the function that makes connections."""

    class Cursor(Awaited):
        """A cursor, a connection, a session or an engine: all of them in one."""

        rowcount = 1
        lastrowid = 1
        description = (("id",), ("name",))
        arraysize = 1
        autocommit = isolation_level = row_factory = text_factory = None
        closed = False

        def __init__(self, api="db"):
            self._api = api
            self._left = 1

        def _tell(self, method, statement, bound):
            if isinstance(statement, (str, bytes)):
                sink("sql", f"{self._api}.{method}", statement, also=bound)
            self._left = 1
            return self

        def execute(self, statement="", *params, **keywords):
            return self._tell("execute", statement_text(statement), (params, keywords))

        exec_driver_sql = execute_async = scalars = raw = query_raw = execute

        def executemany(self, statement="", rows=(), *_):
            return self._tell("executemany", statement_text(statement), list(rows)[:3])

        def executescript(self, statement=""):
            return self._tell("executescript", statement, ())

        def mogrify(self, statement, params=()):
            self._tell("mogrify", statement, params)
            return b"SELECT 1"

        def callproc(self, name, params=()):
            return self._tell("callproc", name, params)

        def query(self, statement="", *params, **keywords):
            if isinstance(statement, (str, bytes)):
                return self._tell("query", statement, (params, keywords))
            return self

        def text(self, statement=""):
            return self._tell("text", statement_text(statement), ())

        filter = where = order_by = group_by = having = from_statement = text

        def cursor(self, *_, **__):
            return Cursor(self._api)

        def _same(self, *_, **__):
            return self

        connect = acquire = begin = session = Session = raw_connection = _same
        filter_by = select_from = join = limit = offset = options = distinct = _same
        values = returning = all_ = mappings = execution_options = _same

        def fetchone(self, *_, **__):
            self._left -= 1
            return Row() if self._left >= 0 else None

        def fetchall(self, *_, **__):
            return [Row()]

        all = fetchmany = fetch = partitions = fetchall

        def first(self, *_, **__):
            return Row()

        one = one_or_none = get = get_or_404 = first_or_404 = one_or_404 = first

        def scalar(self, *_, **__):
            return 1

        scalar_one = scalar_one_or_none = count = exists = scalar

        def fetchval(self, statement="", *params):
            self._tell("fetchval", statement_text(statement), params)
            return 1

        def fetchrow(self, statement="", *params):
            self._tell("fetchrow", statement_text(statement), params)
            return Row()

        def commit(self, *_, **__):
            return Done()

        rollback = close = flush = add = delete = refresh = add_all = remove = commit
        create_function = set_trace_callback = ping = autoflush = dispose = merge = commit

        def __iter__(self):
            return iter([Row()])

        def __next__(self):
            self._left -= 1
            if self._left < 0:
                raise StopIteration
            return Row()

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            return unknown(f"{self._api}.{name}")

        def __call__(self, *_, **__):
            return self

    class Text(str):
        """What `sqlalchemy.text` gives: it is a statement once it is executed."""

        def bindparams(self, *_, **__):
            return self

        columns = bindparams

    def connection(api):
        def connect(*args, **__):
            if api == "sqlite3" and args and isinstance(args[0], str):
                sink("look", "sqlite3.connect", args[0])
            return Cursor(api)

        return connect

    sqlite3.connect = connection("sqlite3")
    return types.SimpleNamespace(Cursor=Cursor, Text=Text, connection=connection)


def statement_text(statement):
    """The text of a statement, whichever way a library wraps it."""
    if isinstance(statement, (str, bytes)):
        return statement
    return getattr(statement, "_statement", None) or ""


def providers(database, unknown, base, sink):
    """What the database packages are, by module name."""

    def driver(api):
        def provide(module):
            module.connect = module.create_pool = database.connection(api)
            module.Connection = module.Cursor = database.Cursor
            for name in ("Error", "DatabaseError", "OperationalError", "IntegrityError",
                         "ProgrammingError", "InterfaceError"):  # fmt: skip
                setattr(module, name, type(name, (Exception,), {}))

        return provide

    def sqlalchemy(module):
        module.create_engine = module.create_async_engine = database.connection("sqlalchemy")
        module.text = database.Text
        module.sessionmaker = module.scoped_session = module.Session = lambda *_, **__: (
            database.Cursor("sqlalchemy")
        )
        module.AsyncSession = database.Cursor
        module.declarative_base = lambda *_, **__: base
        module.DeclarativeBase = base

    def flask_sqlalchemy(module):
        def make(*_, **__):
            made = unknown("flask_sqlalchemy.db")
            made.__dict__.update(session=database.Cursor("sqlalchemy"), text=database.Text,
                                 engine=database.Cursor("sqlalchemy"), Model=base)  # fmt: skip
            return made

        module.SQLAlchemy = make

    class Objects:
        """A django manager or query set."""

        def raw(self, statement="", params=(), *_, **__):
            sink("sql", "objects.raw", statement, also=params)
            return [Row()]

        def extra(self, where=(), select=None, params=(), **_):
            for clause in where or (select or {}).values():
                sink("sql", "objects.extra", "SELECT * FROM t WHERE " + plain(clause), also=params)
            return self

        def get(self, *_, **keywords):
            sink("orm", "objects.get", "", also=list(keywords.values()))
            return Row()

        first = last = create = get

        def filter(self, *_, **keywords):
            sink("orm", "objects.filter", "", also=list(keywords.values()))
            return self

        exclude = order_by = all = values = values_list = select_related = annotate = filter
        prefetch_related = distinct = only = update = delete = filter

        def count(self):
            return 1

        exists = count

        def __iter__(self):
            return iter([Row()])

        def __getitem__(self, key):
            return self if isinstance(key, slice) else Row()

        def __len__(self):
            return 1

    def django_models(module):
        class Model(base):
            objects = Objects()
            DoesNotExist = type("DoesNotExist", (Exception,), {})

            def save(self, *_, **__):
                return None

        module.Model = Model

    def django_db(module):
        module.connection = database.Cursor("django")
        module.connections = {"default": module.connection}
        module.DatabaseError = module.IntegrityError = type("DatabaseError", (Exception,), {})

    def pymongo(module):
        module.MongoClient = module.AsyncIOMotorClient = lambda *_, **__: Collection(sink)

    found = {name: driver(name) for name in (
        "psycopg2", "psycopg", "MySQLdb", "mysql.connector", "pymysql", "aiosqlite", "asyncpg",
        "cx_Oracle", "oracledb", "pyodbc", "pymssql", "duckdb", "aiomysql", "aiopg", "apsw",
        "pysqlite3", "snowflake.connector", "clickhouse_driver")}  # fmt: skip
    found.update({name: sqlalchemy for name in (
        "sqlalchemy", "sqlalchemy.orm", "sqlalchemy.sql", "sqlalchemy.ext.asyncio",
        "sqlalchemy.engine", "sqlalchemy.ext.declarative",
        "sqlalchemy.sql.expression")})  # fmt: skip
    found.update({"flask_sqlalchemy": flask_sqlalchemy, "django.db": django_db,
                  "django.db.models": django_models, "pymongo": pymongo,
                  "motor.motor_asyncio": pymongo})  # fmt: skip
    return found


class Collection:
    """A document store at any depth: client, database and collection are all this."""

    def __init__(self, sink):
        self._sink = sink

    def _tell(self, query=None, *_, **__):
        self._sink("nosql", "collection.find", plain(query), operators=operators(query))
        return Row()

    find_one = find_one_and_update = find_one_and_delete = update_one = delete_one = _tell
    update_many = delete_many = count_documents = _tell

    def find(self, query=None, *_, **__):
        self._tell(query)
        return [Row()]

    aggregate = distinct = find

    def insert_one(self, *_, **__):
        return Row()

    insert_many = close = create_index = insert_one

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return Collection(self._sink)

    def __getitem__(self, name):
        return Collection(self._sink)


def operators(query, depth=4):
    """Names of the query operators in a filter."""
    if isinstance(query, dict) and depth:
        own = [str(key) for key in query if str(key).startswith("$")]
        return own + [name for item in query.values() for name in operators(item, depth - 1)]
    if isinstance(query, list) and depth:
        return [name for item in query[:5] for name in operators(item, depth - 1)]
    return []
