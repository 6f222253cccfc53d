"""What the guard costs: one command, all arms in the same run, figures as ratios.

    python tests/benchmarks/proxy_bench.py [--litellm VENV] [--seconds 4] [--json FILE]

Arms: the bare upstream; BlueCode with its default screens; BlueCode with none; LiteLLM's proxy
without guardrails, from a virtual environment that holds `litellm[proxy]` and is given with
`--litellm`. Each runs in processes of its own, one at a time, and so does the load. A request holds
a constant system prompt of 2 KB and a user text of 300 bytes that no other request has, or one of
2 KB where the case says so. Each answer holds code that no other has, so that every verdict is made
anew; `same code` shows what the cache saves of that, and `same request` sends one request over and
over, as most load generators do. Each case is bounded in requests and in time.
"""

import argparse
import contextlib
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Case:
    """One way to load an arm."""

    name: str
    streamed: bool
    concurrency: int
    user_bytes: int = 300
    model: str = "fresh"
    """`fresh` answers with other code each time, `same` does not."""
    prompts: str = "fresh"
    """`fresh` for a user text that no other request has, `same` for one and the same request."""


CASES = tuple(
    Case(f"{'streamed' if streamed else 'whole'}, {concurrency} at once", streamed, concurrency)
    for streamed in (False, True)
    for concurrency in (1, 32)
) + (
    Case("whole, 1 at once, 2 KB", False, 1, 2048),
    Case("streamed, 1 at once, 2 KB", True, 1, 2048),
    Case("streamed, 1 at once, same request", True, 1, 2048, model="same", prompts="same"),
    Case("whole, 32 at once, same code", False, 32, model="same"),
    Case("streamed, 32 at once, same code", True, 32, model="same"),
    Case("whole, 32 at once, same request", False, 32, model="same", prompts="same"),
    Case("streamed, 32 at once, same request", True, 32, model="same", prompts="same"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """What one case showed. Times in milliseconds."""

    rate: float
    p50: float
    p99: float
    first: float
    """Median time to the first piece of prose; the whole answer where it is not streamed."""
    requests: int
    errors: int


def main() -> int:
    options = _options()
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        upstream = stack.enter_context(_upstream())
        arms = _arms(stack, folder, upstream, options.litellm)
        table = _measure(arms, options.seconds, options.requests)
    _show(table)
    if options.json is not None:
        options.json.write_text(json.dumps(_plain(table), indent=2), encoding="utf-8")
    return 0


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--litellm", type=Path, help="virtual environment with litellm[proxy]")
    parser.add_argument("--seconds", type=float, default=4.0, help="bound of each case")
    parser.add_argument("--requests", type=int, default=2000, help="bound of each case")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    return parser.parse_args()


Arms = dict[str, str]
Table = dict[Case, dict[str, Figures]]


def _arms(stack: contextlib.ExitStack, folder: Path, upstream: str, litellm: Path | None) -> Arms:
    arms = {"upstream": upstream}
    arms["BlueCode"] = stack.enter_context(_bluecode(folder, upstream, "default", None))
    off = _disabling_all(folder)
    arms["BlueCode, off"] = stack.enter_context(_bluecode(folder, upstream, "off", off))
    if litellm is None:
        print("LiteLLM's proxy: left out; give --litellm VENV with litellm[proxy] in it.")
    else:
        arms["LiteLLM"] = stack.enter_context(_litellm(folder, upstream, litellm))
    return arms


def _disabling_all(folder: Path) -> Path:
    """A policy that runs no detector, no checker and no sandbox."""
    from bluecode.defenses.checkers import CHECKERS
    from bluecode.defenses.detectors import DETECTORS

    names = [*DETECTORS, *CHECKERS, "dynamic"]
    path = folder / "off.toml"
    path.write_text(f"disabled = {json.dumps(names)}\n", encoding="utf-8")
    return path


def _measure(arms: Arms, seconds: float, requests: int) -> Table:
    """Arms take turns within a case, so that a busy moment of the machine hits all alike."""
    table: Table = {}
    for case in CASES:
        runs: dict[str, list[Figures]] = {arm: [] for arm in arms}
        for _ in range(ROUNDS):
            for arm, root in arms.items():
                runs[arm].append(_load(root, case, seconds / ROUNDS, requests // ROUNDS))
        table[case] = {arm: _merged(figures) for arm, figures in runs.items()}
        print(f"done: {case.name}", file=sys.stderr)
    return table


def _merged(runs: Sequence[Figures]) -> Figures:
    return Figures(
        rate=statistics.median(run.rate for run in runs),
        p50=statistics.median(run.p50 for run in runs),
        p99=max(run.p99 for run in runs),
        first=statistics.median(run.first for run in runs),
        requests=sum(run.requests for run in runs),
        errors=sum(run.errors for run in runs),
    )


def _load(root: str, case: Case, seconds: float, requests: int) -> Figures:
    asked = {
        "root": root,
        "streamed": case.streamed,
        "concurrency": case.concurrency,
        "user_bytes": case.user_bytes,
        "model": case.model,
        "prompts": case.prompts,
        "seconds": seconds,
        "requests": requests,
    }
    done = subprocess.run(
        [sys.executable, str(HERE / "load.py"), json.dumps(asked)],
        capture_output=True,
        text=True,
        check=True,
        timeout=seconds + 60,
    )
    return Figures(**json.loads(done.stdout))


@contextlib.contextmanager
def _upstream() -> Iterator[str]:
    port = _free_port()
    with _running([sys.executable, str(HERE / "upstream.py"), str(port)], port) as root:
        yield root


@contextlib.contextmanager
def _bluecode(folder: Path, upstream: str, name: str, policy: Path | None) -> Iterator[str]:
    port = _free_port()
    command = [sys.executable, "-m", "bluecode.proxy", "serve", "--upstream", f"{upstream}/v1"]
    command += ["--listen", f"127.0.0.1:{port}", "--audit", str(folder / f"{name}.jsonl")]
    command += ["--log-level", "warning"] + (["--policy", str(policy)] if policy else [])
    with _running(command, port, "/readyz") as root:
        yield root


@contextlib.contextmanager
def _litellm(folder: Path, upstream: str, venv: Path) -> Iterator[str]:
    port = _free_port()
    config = folder / "litellm.yaml"
    config.write_text(
        "model_list:\n"
        + "".join(
            f"  - model_name: {name}\n    litellm_params:\n      model: openai/{name}\n"
            f"      api_base: {upstream}/v1\n      api_key: none\n"
            for name in ("fresh", "same")
        )
        + "litellm_settings:\n  num_retries: 0\n",
        encoding="utf-8",
    )
    command = [str(venv / "bin" / "litellm"), "--config", str(config), "--port", str(port)]
    command += ["--host", "127.0.0.1", "--telemetry", "False"]
    extra = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        # Without keys it need not look any up: the arm is the fastest that it can be.
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    with _running(command, port, "/health/liveliness", extra) as root:
        yield root


@contextlib.contextmanager
def _running(
    command: list[str], port: int, path: str = "/", extra: dict[str, str] | None = None
) -> Iterator[str]:
    """A service in a process of its own, ended at the end."""
    root = f"http://127.0.0.1:{port}"
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=said, env={**os.environ, **(extra or {})}
        )
        try:
            if not _answers(process, root + path):
                said.seek(0)
                raise RuntimeError(f"{command[0]} does not answer:\n{said.read()[-2000:].decode()}")
            yield root
        finally:
            process.terminate()
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _answers(process: subprocess.Popen[bytes], url: str) -> bool:
    until = time.monotonic() + 120
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return True
        except OSError:
            time.sleep(0.1)
    return False


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _show(table: Table) -> None:
    for case, arms in table.items():
        print(f"\n{case.name}")
        print(f"  {'arm':14} {'requests/s':>10} {'p50 ms':>8} {'p99 ms':>8} {'first ms':>8} errors")
        for arm, one in arms.items():
            print(
                f"  {arm:14} {one.rate:10.0f} {one.p50:8.2f} {one.p99:8.2f} {one.first:8.2f}"
                f" {one.errors:6d} of {one.requests}"
            )
        for line in _ratios(case, arms):
            print(f"  {line}")


def _ratios(case: Case, arms: dict[str, Figures]) -> Iterator[str]:
    ours, bare, off = arms["BlueCode"], arms["upstream"], arms["BlueCode, off"]
    if "LiteLLM" in arms and arms["LiteLLM"].rate:
        yield f"BlueCode serves {ours.rate / arms['LiteLLM'].rate:.1f} times LiteLLM's requests/s"
    yield f"screens cost {1 - ours.rate / off.rate:.0%} of the requests/s"
    if case.concurrency == 1:
        added, screens = ours.p50 - bare.p50, ours.p50 - off.p50
        yield f"added median latency {added:+.2f} ms, of which screens {screens:+.2f} ms"
        if case.streamed:
            added, screens = ours.first - bare.first, ours.first - off.first
            yield f"first prose later by {added:+.2f} ms, by screens {screens:+.2f} ms"


def _plain(table: Table) -> dict[str, Any]:
    return {
        case.name: {
            arm: {name: getattr(figures, name) for name in Figures.__slots__}
            for arm, figures in arms.items()
        }
        for case, arms in table.items()
    }


if __name__ == "__main__":
    sys.exit(main())
