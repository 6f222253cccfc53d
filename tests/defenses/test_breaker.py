"""What fails is left alone for a while; what costs is asked for only so often."""

from bluecode.defenses.breaker import Allowance, Breaker


class Hand:
    """A clock that is set by hand."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def failing(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        assert breaker.admits()
        breaker.failed()


def test_failures_in_a_row_open_it_and_a_success_between_them_does_not() -> None:
    breaker = Breaker(failures=3, pause=10, clock=Hand())
    failing(breaker, 2)
    assert breaker.admits()
    breaker.succeeded()
    failing(breaker, 2)
    assert breaker.admits() and not breaker.is_open
    breaker.failed()
    assert breaker.is_open and not breaker.admits()


def test_after_a_pause_one_try_decides() -> None:
    clock = Hand()
    breaker = Breaker(failures=1, pause=10, clock=clock)
    failing(breaker, 1)
    clock.now = 10
    assert breaker.admits() and not breaker.admits()
    breaker.failed()
    clock.now = 19
    assert not breaker.admits()
    clock.now = 20
    assert breaker.admits()
    breaker.succeeded()
    assert breaker.admits() and breaker.admits() and not breaker.is_open


def test_a_try_that_was_cancelled_lets_the_next_one_in() -> None:
    clock = Hand()
    breaker = Breaker(failures=1, pause=10, clock=clock)
    failing(breaker, 1)
    clock.now = 10
    assert breaker.admits()
    breaker.abandoned()
    assert breaker.admits()


def test_an_allowance_holds_for_any_minute() -> None:
    clock = Hand()
    allowance = Allowance(2, clock=clock)
    assert allowance.take()
    clock.now = 59
    assert allowance.take() and not allowance.take()
    clock.now = 60
    assert allowance.take() and not allowance.take()
