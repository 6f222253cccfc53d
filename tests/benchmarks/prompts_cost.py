"""What screening a prompt costs, by its length and by the turn of its conversation.

    python tests/benchmarks/prompts_cost.py [--rounds 9]

Processor time, medians of several texts of each length. `cold` is a text that was never seen,
`cached` the same once more, `tool` a cold text of the same length that a tool brought. A token is
taken for four characters. The second table asks the proxy's engine for the messages of a
conversation as an assistant sends them, all of them anew at each turn: a turn costs what is new.
"""

import argparse
import asyncio
import itertools
import statistics
import time
from collections.abc import Iterator

from rich.console import Console
from rich.table import Table

from bluecode.defenses.conversation import Message, Role
from bluecode.defenses.policy import Policy
from bluecode.proxy.config import Config
from bluecode.proxy.engine import Engine

TOKENS = (30, 100, 300, 1_000, 3_000, 10_000, 30_000)
TURNS = 100
SENTENCES = (
    "The parser reads one line after the other and keeps what it cannot use for the next.",
    "Please move the validation out of the view into a function with a test of its own.",
    "When the queue is empty the worker waits for half a second and asks again.",
    "Orders that were paid twice are listed in the report with both dates and both amounts.",
    "def total(items): return sum(item.price * item.count for item in items)",
    "The build failed on the second machine since its compiler is older than the first one's.",
)
NUMBERS = itertools.count()


def text(tokens: int) -> str:
    """Words of about so many tokens that no other text has."""
    told = f"Task {next(NUMBERS)}."
    for sentence in itertools.cycle(SENTENCES):
        if len(told) >= 4 * tokens:
            return told[: 4 * tokens]
        told += f" {sentence}" if next(NUMBERS) % 7 else f"\n\n{sentence}"
    raise AssertionError


async def spent(engine: Engine, message: Message) -> float:
    """Milliseconds of processor time for one message."""
    started = time.process_time()
    await engine.decide_message(message)
    return 1000 * (time.process_time() - started)


async def by_length(engine: Engine, rounds: int) -> Table:
    table = Table("tokens", "cold ms", "cached ms", "tool ms", title="One message, CPU")
    for tokens in TOKENS:
        cold, cached, tool = [], [], []
        for _ in range(rounds):
            message = Message(role=Role.USER, text=text(tokens))
            cold.append(await spent(engine, message))
            cached.append(await spent(engine, message))
            brought = Message(role=Role.TOOL, text=text(tokens), task="Mend the report.")
            tool.append(await spent(engine, brought))
        row = (statistics.median(times) for times in (cold, cached, tool))
        table.add_row(f"{tokens}", *(f"{one:.2f}" for one in row))
    return table


def conversation() -> Iterator[Message]:
    for _ in range(TURNS):
        yield Message(role=Role.USER, text=text(100))
        yield Message(role=Role.TOOL, text=text(300), task="Mend the report.")
        yield Message(role=Role.ASSISTANT, text=text(200))


async def by_turn(engine: Engine) -> Table:
    table = Table("turn", "messages", "CPU ms", title="A conversation, sent whole at each turn")
    messages = list(conversation())
    for turn in range(1, TURNS + 1):
        sent = messages[: 3 * turn]
        cost = sum([await spent(engine, message) for message in sent])
        if turn in (1, 2, 10, 50, TURNS):
            table.add_row(f"{turn}", f"{len(sent)}", f"{cost:.2f}")
    return table


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=9, help="texts of each length")
    options = parser.parse_args()
    policy = Policy.default()
    config = Config(upstream="demo", workers=1)
    async with Engine.open(config, policy) as engine:
        await spent(engine, Message(role=Role.USER, text=text(300)))
        console = Console()
        console.print(await by_length(engine, options.rounds))
        console.print(await by_turn(engine))


if __name__ == "__main__":
    asyncio.run(main())
