"""`bluecode feedback …`: what people say of decisions, written down and summed up."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from bluecode.proxy import printing, stores
from bluecode.proxy.config import Config, ConfigError
from bluecode.proxy.feedback import Feedback, FeedbackError, Said

Answer = Callable[[Config, Any], int]


def run(config: Config, given: Any) -> int:
    """Do what the command line asks for. Raises `ConfigError`."""
    try:
        return COMMANDS[given.action](config, given)
    except FeedbackError as error:
        raise ConfigError(str(error)) from error


def _add(config: Config, given: Any) -> int:
    store = stores.feedback(config)
    said: Said = "missed" if given.missed is not None else "false_positive"
    subject = given.missed if given.missed is not None else given.false_positive
    told = Feedback(request_id=given.request, said=said, subject=subject, by=given.by)
    new = store.add(told)
    print(f"{'Kept' if new else 'Known already'}, in {store.place}.")
    return 0


def _remove(config: Config, given: Any) -> int:
    count = stores.feedback(config).remove(given.request)
    print(f"Took back {count}.")
    return 0 if count else 1


def _list(config: Config, given: Any) -> int:
    found = stores.feedback(config).all()
    if given.format == "json":
        printing.print_json([asdict(item) for item in found])
        return 0
    table = printing.table("request", "said", "of", "by", "at", whole={"request", "said"})
    for item in found:
        told = item.said.replace("_", " ")
        table.add_row(item.request_id, told, item.subject or "all of it", item.by or "-", item.at)
    printing.console().print(table)
    return 0


def _summary(config: Config, given: Any) -> int:
    """Requests by what was said of them; one that several people name counts once."""
    counts = summed(stores.feedback(config).all())
    if given.format == "json":
        printing.print_json(
            [{"said": said, "of": of, "requests": count} for (said, of), count in counts]
        )
        return 0
    table = printing.table("said", "of", "requests", whole={"said"})
    for (said, of), count in counts:
        table.add_row(said.replace("_", " "), of or "all of it", str(count))
    printing.console().print(table)
    return 0


def summed(found: Sequence[Feedback]) -> list[tuple[tuple[str, str], int]]:
    """How many requests each rule and category was named for, the most often named first."""
    named = {(item.request_id, item.said, item.subject) for item in found}
    counts = Counter((said, subject) for _, said, subject in named)
    return sorted(counts.items(), key=lambda item: (-item[1], item[0]))


COMMANDS: Final[Mapping[str, Answer]] = {
    "add": _add,
    "remove": _remove,
    "list": _list,
    "summary": _summary,
}
