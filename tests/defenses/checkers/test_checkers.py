"""The registry of checkers."""

from bluecode.defenses.checkers import CHECKERS


def test_every_checker_goes_by_its_registered_name() -> None:
    assert {name: make().name for name, make in CHECKERS.items()} == {
        name: name for name in CHECKERS
    }


def test_python_is_read() -> None:
    readers = [name for name, make in CHECKERS.items() if "python" in make().languages]

    assert readers == ["python"]
