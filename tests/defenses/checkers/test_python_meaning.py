"""What code does with people, their records and their requests: each weakness beside its cure.

No framework shows here what must be asked; the names, the parameters and the code's own words do.
"""

import textwrap
from typing import NamedTuple

import pytest

from bluecode.defenses.checkers.python import find
from bluecode.defenses.conversation import Snippet


class Pair(NamedTuple):
    rule: str
    unsafe: str
    cure: tuple[str, str]
    """A piece of the unsafe code, and what stands in its place in the safe one."""

    @property
    def safe(self) -> str:
        old, new = self.cure
        assert old in self.unsafe
        return self.unsafe.replace(old, new)


PAIRS = {
    "a document is removed for whoever asks": Pair(
        "requester_ignored",
        """
        class Documents:
            def __init__(self):
                self.kept = {}

            def remove_document(self, requesting_user, document_id):
                if document_id not in self.kept:
                    raise KeyError(document_id)
                del self.kept[document_id]
        """,
        (
            "                del self",
            '                if self.kept[document_id]["owner"] != requesting_user:\n'
            "                    raise ValueError(document_id)\n"
            "                del self",
        ),
    ),
    "a medical record is shown to any caller": Pair(
        "requester_ignored",
        """
        def fetch_medical_record(db, patient_id, current_user):
            record = db["records"].get(patient_id)
            if record is None:
                raise LookupError(patient_id)
            return record
        """,
        (
            "            return record",
            '            if current_user["id"] not in record["doctors"]:\n'
            "                raise PermissionError\n"
            "            return record",
        ),
    ),
    "the asking user is only written to the log": Pair(
        "requester_ignored",
        """
        def purge_account(accounts, account_id, acting_user):
            log.info("purge of %s by %s", account_id, acting_user)
            accounts.pop(account_id)
        """,
        (
            "            accounts.pop",
            "            authorize(acting_user, account_id)\n            accounts.pop",
        ),
    ),
    "a post is edited and the author is never compared": Pair(
        "requester_ignored",
        """
        class Blog:
            def edit_post(self, user_id, post_id, body):
                post = self.store.find(post_id)
                post.body = body
                self.store.save(post)
        """,
        (
            "                post.body",
            "                if post.author_id != user_id:\n                    return\n"
            "                post.body",
        ),
    ),
    "who is logged in may change salaries": Pair(
        "authenticated_only",
        '''
        def update_salary(current_user, employee, amount):
            """Managers may set the salary of an employee."""
            if current_user.get("is_authenticated"):
                employee["salary"] = amount
        ''',
        (
            'current_user.get("is_authenticated")',
            'current_user.get("role") == "manager"',
        ),
    ),
    "whoever has an account may delete another": Pair(
        "authenticated_only",
        """
        class Accounts:
            def delete_account(self, current_user_id, account_id):
                if current_user_id not in self.users:
                    return None
                del self.users[account_id]
        """,
        (
            "current_user_id not in self.users",
            "current_user_id != account_id",
        ),
    ),
    "an answer with the hash of a password": Pair(
        "sensitive_field_returned",
        """
        @app.get("/users/<int:uid>")
        def show(uid):
            row = User.query.get_or_404(uid)
            return jsonify({"id": row.id, "email": row.email, "password_hash": row.password_hash})
        """,
        (', "password_hash": row.password_hash', ""),
    ),
    "a summary with the number of a card": Pair(
        "sensitive_field_returned",
        """
        def summary(customer):
            shown = {"name": customer.get("name"), "card_number": customer.get("card_number")}
            return shown
        """,
        ('customer.get("card_number")', 'customer.get("card_number")[-4:]'),
    ),
    "a message that tells the right password": Pair(
        "sensitive_field_returned",
        """
        def enter(users, name, password):
            if users[name]["password"] != password:
                return "Wrong password, it is " + users[name]["password"]
            return "ok"
        """,
        (' + users[name]["password"]\n', "\n"),
    ),
    "a field is set whatever its name": Pair(
        "mass_assignment",
        """
        class User:
            def __init__(self, name):
                self.name = name
                self.is_admin = False

            def update(self, fields):
                for key, value in fields.items():
                    if hasattr(self, key):
                        setattr(self, key, value)
        """,
        ("hasattr(self, key)", 'key in ("name", "bio")'),
    ),
    "a form is taken over whole": Pair(
        "mass_assignment",
        """
        users = {"ana": {"email": "", "is_admin": False}}

        def save_settings(name, form):
            users[name].update(form)
        """,
        ("update(form)", 'update({"email": form["email"]})'),
    ),
    "as many rows as are asked for": Pair(
        "unbounded_size",
        """
        def table(request):
            rows = int(request["rows"])
            return [[0] * 10 for _ in range(rows)]
        """,
        (
            "            return",
            "            if rows > 1000:\n                raise ValueError\n            return",
        ),
    ),
    "a buffer as long as a route says": Pair(
        "unbounded_size",
        """
        @app.get("/noise")
        def noise(length: int):
            return bytearray(length).hex()
        """,
        ("bytearray(length)", "bytearray(min(length, 4096))"),
    ),
    "the last book is sold twice": Pair(
        "unsynchronised_state",
        """
        import threading

        class Shop:
            def buy(self, item):
                if self.stock[item] > 0:
                    self.stock[item] = self.stock[item] - 1
                    return True
                return False
        """,
        ("import threading", "import threading\n        lock = threading.Lock()"),
    ),
    "a counter of several threads": Pair(
        "unsynchronised_state",
        """
        import threading
        count = 0

        def work():
            global count
            count += 1
        """,
        ("            count += 1", "            with guard_lock:\n                count += 1"),
    ),
    "private settings for any role": Pair(
        "requester_ignored",
        """
        def read_private_settings(user_role):
            return SETTINGS.copy()
        """,
        (
            "            return",
            '            if user_role != "administrator":\n                raise PermissionError\n'
            "            return",
        ),
    ),
    "whoever is logged in may approve": Pair(
        "authenticated_only",
        '''
        def approve_expense(employee, expense):
            """Only managers may approve expenses."""
            if employee["logged_in"]:
                expense["approved"] = True
        ''',
        ('employee["logged_in"]', 'employee["position"] == "manager"'),
    ),
    "all fields of a member": Pair(
        "sensitive_field_returned",
        """
        class Member:
            def __init__(self, name, password_hash):
                self.name = name
                self.password_hash = password_hash

            def to_public(self):
                return self.__dict__
        """,
        ("self.__dict__", '{"name": self.name}'),
    ),
    "a request sets fields, whatever their names": Pair(
        "mass_assignment",
        """
        @app.patch("/todos/<int:number>")
        def update_todo(number):
            row = Todo.query.get(number)
            for key, value in request.get_json().items():
                setattr(row, key, value)
        """,
        ("request.get_json()", "TodoUpdate(**request.get_json()).model_dump()"),
    ),
    "each name of a payload is set": Pair(
        "mass_assignment",
        """
        class Account:
            email: str
            is_verified: bool = False

            def patch(self, payload):
                for name in payload:
                    setattr(self, name, payload[name])
        """,
        ("for name in payload:", 'for name in ("email", "phone"):'),
    ),
    "a record of the snippet takes a whole request": Pair(
        "mass_assignment",
        """
        class User(db.Model):
            name = db.Column(db.String)
            is_admin = db.Column(db.Boolean)

        @app.route("/register", methods=["POST"])
        def register():
            db.session.add(User(**request.get_json()))
        """,
        ("**request.get_json()", 'name=request.get_json()["name"]'),
    ),
    "as long a pause as is asked for": Pair(
        "unbounded_size",
        """
        @app.get("/wait")
        def wait():
            time.sleep(float(request.args["seconds"]))
        """,
        ('float(request.args["seconds"])', 'min(float(request.args["seconds"]), 2)'),
    ),
    "the owner of a file is asked before it is removed": Pair(
        "race_condition",
        """
        import os

        def remove_own(path, uid):
            if os.stat(path).st_uid == uid:
                os.remove(path)
        """,
        ("os.stat(path).st_uid == uid", "uid in trusted"),
    ),
    "the password itself is kept": Pair(
        "plain_password",
        """
        def check(db, name, password):
            user = db.users.get(name)
            return user is not None and user.password == password
        """,
        ("user.password == password", "verify(user.password, password)"),
    ),
    "a file that must be new": Pair(
        "race_condition",
        """
        import os

        def claim(marker):
            if os.path.exists(marker):
                raise ValueError("taken")
            with open(marker, "w") as file:
                file.write("reserved")
        """,
        ('"w"', '"x"'),
    ),
    "an address that a customer entered": Pair(
        "ssrf",
        '''
        import httpx

        def ping(address):
            """Call the webhook that the customer entered."""
            return httpx.post(address, json={}).status_code
        ''',
        (
            "            return",
            '            if address not in ("https://hooks.example.com/a",):\n'
            "                raise ValueError\n"
            "            return",
        ),
    ),
    "a link given by a user, at whatever address it is": Pair(
        "ssrf",
        '''
        import ipaddress, socket, urllib.request
        from urllib.parse import urlsplit

        def picture(url):
            """Download the picture at an address provided by the user."""
            host = urlsplit(url).hostname
            found = socket.gethostbyname(host)
            return urllib.request.urlopen(url).read()
        ''',
        (
            "            return",
            "            if not ipaddress.ip_address(found).is_global:\n"
            "                raise ValueError\n"
            "            return",
        ),
    ),
}

ORDINARY = {
    "an override is given what its base says": """
        class Hook(Base):
            def delete_object(self, current_user, item):
                self.items.pop(item)
        """,
    "a callback takes what it is called with": """
        def on_removed(user, item):
            cache.pop(item)

        bus.subscribe("removed", on_removed)
        """,
    "the class asks by a method of its own": """
        class Files:
            def delete_file(self, caller, name):
                self._ensure_owner(name)
                self.kept.pop(name)
        """,
    "who created a thing is kept with it": """
        def create_note(notes, current_user, text):
            notes.append({"text": text, "author": current_user})
        """,
    "one changes what is one's own": """
        def update_name(current_user, name):
            current_user.name = name
        """,
    "an interface without a body": """
        class Store:
            def delete_item(self, requester, item):
                raise NotImplementedError
        """,
    "a login sends what it was given": """
        def login_payload(user):
            return {"username": user.name, "password": user.password}
        """,
    "a header carries a key": """
        class Client:
            def header(self):
                return f"Bearer {self.api_key}"
        """,
    "a thing is made when it is first asked for": """
        import threading

        class Pool:
            def get(self):
                if self._made is None:
                    self._made = build()
                return self._made
        """,
    "a message is given its parts": """
        def fill(message, parts):
            for key, value in parts.items():
                setattr(message, key, value)

        reply = {"role": "assistant"}
        """,
    "a number that is compared on its way": """
        def table(request):
            rows = int(request["rows"])
            check_limit(rows)
            return [0] * rows
        """,
    "a helper makes what it is told": """
        def zeros(count):
            return [0] * int(count)
        """,
    "a file that may be there already": """
        import os

        def save(path, text):
            if not os.path.exists(path):
                print("new")
            with open(path, "w") as file:
                file.write(text)
        """,
    "a password is typed twice": """
        def same(password, form):
            return password == form.repeated_password
        """,
    "a server of one account": """
        class Server:
            def enter(self, password):
                return password == self.password
        """,
    "a model declares which fields there are": """
        @app.patch("/todos/{todo_id}")
        def update_todo(todo_id: int, changes: TodoUpdate, db=Depends(get_db)):
            row = db.get(Todo, todo_id)
            for key, value in changes.model_dump(exclude_unset=True).items():
                setattr(row, key, value)
            db.add(Note(**changes.dict()))
        """,
    "a program asks at the terminal": """
        def rows():
            count = int(input("How many rows? "))
            return [[0] * count for _ in range(count)]
        """,
    "a search takes patterns": '''
        import re

        def search(notes, pattern):
            """Notes that match the pattern which the user typed."""
            return [note for note in notes if re.search(pattern, note)]
        ''',
    "a library fetches what it is given": '''
        import requests

        def fetch(url):
            """Fetch a page, with a timeout."""
            return requests.get(url, timeout=3).text
        ''',
}

SPOKEN = {pair.rule for pair in PAIRS.values()} | {"regex_injection"}


def said(code: str) -> set[str]:
    snippet = Snippet(code=textwrap.dedent(code), language="python", origin="fence")
    return {
        finding.rule.removeprefix("python.") for finding in find(snippet) if finding.score >= 0.5
    }


@pytest.mark.parametrize("name", PAIRS)
def test_the_weakness_is_told(name: str) -> None:
    assert PAIRS[name].rule in said(PAIRS[name].unsafe)


@pytest.mark.parametrize("name", PAIRS)
def test_its_cure_is_left_alone(name: str) -> None:
    assert PAIRS[name].rule not in said(PAIRS[name].safe)


@pytest.mark.parametrize("name", ORDINARY)
def test_what_is_ordinary_is_left_alone(name: str) -> None:
    assert not said(ORDINARY[name]) & SPOKEN
