"""The command line: `bluecode serve`, `demo`, `check`, `screen`, `sandbox run`, `eval`,
`knowledge`, `constitution`, `feedback`, `capture`, `replay`, `setup`, `doctor`, `redteam`,
`version`.

Exit status: 0 fine, 1 the policy blocks, or the demo or the doctor found something wrong, 2 a
setting, a file or the command line cannot be used, 3 something could not be checked and the policy
does not let that pass.
Each command imports what it needs when it is called, so that help comes at once.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final

from bluecode.proxy import feedback_arguments, redteam_arguments
from bluecode.proxy.config import PREFIX, Config, ConfigError
from bluecode.proxy.knowledge_arguments import add_constitution, add_knowledge
from bluecode.sandbox.outcome import SandboxUnavailable

FLAGS: Final[Mapping[str, tuple[str, str]]] = {
    "listen": ("ADDRESS", "address and port to serve on; a port alone means loopback"),
    "upstream": ("URL", "API root of the provider, `demo`, or a litellm model name"),
    "seal_key_file": ("FILE", "file with the key that replicas share to know each other's notes"),
    "upstream_key_file": ("FILE", "file with the key that is sent upstream in the client's place"),
    "proxy_keys_file": ("FILE", "file of `name:key` lines; clients must present one of the keys"),
    "metrics_key_file": ("FILE", "file with the key that readers of /metrics must present"),
    "traces": ("URL", "root of an OTLP receiver, to which traces go"),
    "shared_file": ("FILE", "file with the address of a Redis that replicas share"),
    "shared_wait": ("SECONDS", "that a lookup there may take"),
    "repair": ("", "have the model repair code that was blocked, once"),
    "policy": ("FILE", "policy file: thresholds, modes, rules"),
    "audit": ("TARGET", "where decisions are written: stdout, none, or a file"),
    "audit_max_bytes": ("N", "size at which a new audit file is begun"),
    "audit_backups": ("N", "audit files put aside that are kept"),
    "audit_days": ("DAYS", "after which an audit file put aside is removed; 0 for never"),
    "audit_database_file": ("FILE", "file with the address of a database for the audit"),
    "capture": ("FOLDER", "for the sealed full text of requests and answers; none without it"),
    "capture_key": ("KEY", "public key with which that is sealed"),
    "capture_days": ("DAYS", "after which what was captured is removed"),
    "capture_max_bytes": ("N", "most that captures may take; the oldest go first"),
    "database_file": ("FILE", "file with the address of a database for records and feedback"),
    "cache_dir": ("FOLDER", "where the compiled guest is kept between starts"),
    "knowledge": ("FILE", "the user's own records, beside the shipped knowledge base"),
    "feedback": ("FILE", "what people said of decisions"),
    "cache_entries": ("N", "verdicts that are remembered"),
    "workers": ("N", "processes that run untrusted code"),
    "body_limit": ("BYTES", "largest request, and largest answer that is not streamed"),
    "held_limit": ("BYTES", "most code held back in one answer"),
    "connect_timeout": ("SECONDS", "to reach the provider"),
    "read_timeout": ("SECONDS", "that the provider may be silent"),
    "drain_timeout": ("SECONDS", "that running answers have to end after a signal to stop"),
    "health_listen": ("ADDRESS", "a second address for /healthz, /readyz and /metrics alone"),
    "keep_alive": ("SECONDS", "after which a waiting client gets a sign of life"),
    "log_level": ("LEVEL", "debug, info, warning or error"),
    "log_format": ("FORMAT", "text or json, on standard error"),
}
"""Settings that have a flag; keys have none, for others could read them in the process list."""

_SOURCES = f"""\
Every flag is also a key of the file (`held_limit = 4000000`) and a variable of the environment
({PREFIX}HELD_LIMIT). Flags win over the environment, which wins over the file. Only there:
`upstream_key`, `proxy_keys`, a table from name to key ("name:key,name:key" in the environment),
`upstreams`, a table for each of several providers, and `judge`, a table that names a model.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit status."""
    given = parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = given.command
    try:
        return command(given)
    except ConfigError as error:
        print(f"bluecode: {error}", file=sys.stderr)
        return 2
    except SandboxUnavailable as error:
        print(
            f"bluecode: the sandbox cannot be used ({error}); to go without it, add `dynamic` to"
            " `disabled` in the policy.",
            file=sys.stderr,
        )
        return 3
    except KeyboardInterrupt:
        return 130


def parser() -> argparse.ArgumentParser:
    """The whole command line."""
    line = argparse.ArgumentParser(
        prog="bluecode",
        description="A drop-in guard for coding assistants.",
        epilog="`bluecode COMMAND --help` says more about a command.",
    )
    line.add_argument("--version", action="version", version=_version())
    commands = line.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_serve(commands)
    _add_demo(commands)
    _add_check(commands)
    _add_screen(commands)
    _add_sandbox(commands)
    _add_eval(commands)
    add_knowledge(commands, _add_store, _knowledge)
    add_constitution(commands, _add_store, _constitution)
    feedback_arguments.add(commands, _add_feedback, _feedback)
    _add_capture(commands)
    _add_replay(commands)
    _add_setup(commands)
    _add_doctor(commands)
    redteam_arguments.add(commands, (_add_config, _add_policy))
    version = commands.add_parser("version", help="print the version")
    version.set_defaults(command=lambda given: print(_version()) or 0)
    return line


def _version() -> str:
    return f"bluecode {metadata.version('bluecode')}"


def _add_serve(commands: Any) -> None:
    serve = commands.add_parser(
        "serve",
        help="stand between assistants and a model",
        description="Stand between coding assistants and a model: screen what goes in, check the"
        " code that comes back. Stops on SIGINT and SIGTERM.",
        epilog=_SOURCES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    _add_config(serve)
    defaults = Config()
    for key, (shown, text) in FLAGS.items():
        value = getattr(defaults, key, None)
        told = "" if value in (None, "") else f" (default: {value})"
        flag = "--" + key.replace("_", "-")
        if not shown:
            serve.add_argument(flag, dest=key, action="store_const", const="true", help=text)
            continue
        serve.add_argument(flag, dest=key, metavar=shown, help=(text + told).replace("%", "%%"))
    serve.set_defaults(command=_serve)


def _add_demo(commands: Any) -> None:
    demo = commands.add_parser(
        "demo",
        help="see it work: no key, no network",
        description="Start the real proxy in front of a scripted model, send it a dozen requests"
        " and show what came of each. Exit status 1 where a verdict is not the expected one.",
    )
    _add_config(demo)
    _add_policy(demo)
    demo.add_argument("--json", action="store_true", help="print the results as JSON")
    demo.set_defaults(command=_demo)


def _add_check(commands: Any) -> None:
    check = commands.add_parser(
        "check",
        help="check code in files",
        description="Check code. Markdown has its code blocks checked, a diff what it leaves"
        " behind. Exit status 1 where the policy blocks, 3 where something could not be checked"
        " and the policy does not let that pass.",
    )
    check.add_argument("files", nargs="+", metavar="FILE", help="a file, or - for standard input")
    check.add_argument(
        "--format", choices=("text", "json", "sarif"), default="text", help="default: text"
    )
    check.add_argument(
        "--language", help="what the code is written in (default: by name and content)"
    )
    _add_config(check)
    _add_policy(check)
    check.set_defaults(command=_check)


def _add_screen(commands: Any) -> None:
    screen = commands.add_parser(
        "screen",
        help="screen a prompt",
        description="Screen a text that a model is about to read. The same sentence is an order"
        " from a user and an attack in what a tool brought back: say which by --role."
        " Exit status as for check.",
    )
    screen.add_argument("files", nargs="+", metavar="FILE", help="a file, or - for standard input")
    screen.add_argument(
        "--role",
        choices=("user", "tool", "system", "assistant"),
        default="user",
        help="who speaks (default: user)",
    )
    screen.add_argument(
        "--explain",
        action="store_true",
        help="show the principle, the nearest cases and the lines behind each finding",
    )
    screen.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    _add_config(screen)
    _add_policy(screen)
    screen.set_defaults(command=_screen)


def _add_sandbox(commands: Any) -> None:
    sandbox = commands.add_parser("sandbox", help="run a snippet and see what it tries to do")
    run = sandbox.add_subparsers(title="commands", metavar="COMMAND", required=True).add_parser(
        "run",
        help="run a snippet and see what it tries to do",
        description="Run Python, JavaScript or TypeScript where it can do no harm, and show the"
        " files, commands, queries, connections and dynamic code that it tried. Exit status 0 where"
        " it ran to its end, 3 where it did not, or could not be run.",
    )
    run.add_argument("file", metavar="FILE", help="a file, or - for standard input")
    run.add_argument("--language", choices=("python", "javascript", "typescript"))
    run.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    _add_config(run)
    run.set_defaults(command=_sandbox_run)


def _add_eval(commands: Any) -> None:
    measure = commands.add_parser(
        "eval",
        help="measure how often verdicts are right on labelled sets",
        description="Check the code and screen the prompts of labelled sets, and print precision,"
        " recall, F1, false-positive rate and paired accuracy with 95 % intervals; of prompts for"
        " several arms side by side. Exit status 3 where something failed at a record.",
    )
    measure.add_argument(
        "paths", nargs="*", type=Path, metavar="PATH", help="a JSONL file, or a folder of them"
    )
    measure.add_argument("--static", action="store_true", help="leave the sandbox out")
    measure.add_argument(
        "--limit", type=_natural, metavar="N", help="about N records of each source (default: all)"
    )
    measure.add_argument(
        "--jobs", type=_natural, metavar="N", help="processes (default: one for each core)"
    )
    measure.add_argument(
        "--judge",
        action="store_true",
        help="ask the judge of the settings, too: directly, with the paper's two reminders, by a"
        " constitution, and behind the detectors; six calls a prompt",
    )
    measure.add_argument(
        "--leave-out",
        choices=("category", "channel", "language", "register"),
        help="fit the screens anew without each family of the knowledge base in turn, and judge"
        " it; a few seconds for each family of malice and bias, a minute and more for injections",
    )
    measure.add_argument("--errors", action="store_true", help="name the records of wrong verdicts")
    measure.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    _add_config(measure)
    _add_policy(measure)
    measure.set_defaults(command=_eval)


def _add_capture(commands: Any) -> None:
    capture = commands.add_parser("capture", help="keys for the full text of requests")
    key = capture.add_subparsers(title="commands", metavar="COMMAND", required=True).add_parser(
        "key",
        help="make a pair of keys",
        description="Write a new private key to a file, and print the public one that belongs to"
        " it: `capture_key` of the settings. What is sealed with that only the private one opens.",
    )
    key.add_argument("file", type=Path, metavar="FILE", help="where the private key goes")
    key.set_defaults(command=_capture_key)


def _add_replay(commands: Any) -> None:
    replay = commands.add_parser(
        "replay",
        help="see what another policy would have made of an audit",
        description="Decide again on the requests of an audit, by another policy, and tell what"
        " would have changed. With a private key the files are what was captured, and the full text"
        " is looked at anew. Exit status 1 where requests would be blocked that were not, 3 where"
        " lines could not be read.",
    )
    replay.add_argument(
        "files",
        nargs="*",
        type=Path,
        metavar="AUDIT",
        help="a file of an audit, as it was written, or what was captured; without one what the"
        " config says",
    )
    replay.add_argument(
        "--private-key",
        action="append",
        default=[],
        type=Path,
        metavar="FILE",
        help="file with a private key that opens what was captured; may be given several times",
    )
    replay.add_argument(
        "--feedback",
        action="store_true",
        help="hold what people said of decisions against it, as the config has it",
    )
    replay.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    _add_config(replay)
    _add_policy(replay)
    replay.set_defaults(command=_replay)


def _natural(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 1 on")
    return int(text)


def _add_setup(commands: Any) -> None:
    setup = commands.add_parser(
        "setup",
        help="point an assistant at BlueCode",
        description="Print the exact settings that point an assistant at BlueCode, or write them"
        " into its file. Without a name: a table of all assistants.",
    )
    setup.add_argument("client", nargs="?", metavar="NAME", help="the assistant")
    setup.add_argument("--url", help="where BlueCode is (default: as the settings say)")
    setup.add_argument("--model", help="the model's name")
    setup.add_argument(
        "--write", action="store_true", help="add the settings to the assistant's file, with a copy"
    )
    _add_config(setup)
    setup.set_defaults(command=_setup)


def _add_doctor(commands: Any) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="see whether all that is needed works",
        description="Look at the settings, the policy, the upstream, the detectors and the sandbox."
        " Exit status 1 where something that is needed does not work.",
    )
    doctor.add_argument("--upstream", metavar="URL", help="the provider, as for serve")
    doctor.add_argument("--format", choices=("text", "json"), default="text", help="default: text")
    _add_config(doctor)
    _add_policy(doctor)
    doctor.set_defaults(command=_doctor)


def _add_config(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help=f"TOML file of settings (or {PREFIX}CONFIG)"
    )


def _add_policy(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--policy", metavar="FILE", help="policy file: thresholds, modes, rules")


def _add_store(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument("--knowledge", metavar="FILE", help="where your own records are")


def _add_feedback(parser: argparse.ArgumentParser) -> None:
    _add_config(parser)
    parser.add_argument("--feedback", metavar="FILE", help="where it is kept")


def _serve(given: argparse.Namespace) -> int:
    from bluecode.proxy import commands

    flags = {key: getattr(given, key) for key in FLAGS}
    return commands.serve(Config.load(given.config, flags=flags))


def _demo(given: argparse.Namespace) -> int:
    from bluecode.proxy import commands

    return commands.demo(_config(given), as_json=given.json)


def _check(given: argparse.Namespace) -> int:
    from bluecode.proxy import commands

    return commands.check(_config(given), given.files, language=given.language, style=given.format)


def _screen(given: argparse.Namespace) -> int:
    from bluecode.proxy import commands

    return commands.screen(
        _config(given), given.files, role=given.role, style=given.format, explain=given.explain
    )


def _sandbox_run(given: argparse.Namespace) -> int:
    from bluecode.proxy import sandbox_command

    config = Config.load(given.config, flags={})
    return sandbox_command.run(config, given.file, language=given.language, style=given.format)


def _eval(given: argparse.Namespace) -> int:
    from bluecode.proxy import eval_command
    from bluecode.proxy.eval_command import Asked

    if not given.paths and not given.leave_out:
        raise ConfigError("Name sets to measure on: JSONL files, or folders of them.")
    asked = Asked(
        paths=given.paths,
        static=given.static,
        limit=given.limit,
        jobs=given.jobs,
        leave_out=given.leave_out,
        judge=given.judge,
    )
    return eval_command.run(_config(given), asked, style=given.format, errors=given.errors)


def _replay(given: argparse.Namespace) -> int:
    from bluecode.proxy import commands

    return commands.replay(
        _config(given),
        given.files,
        style=given.format,
        private_keys=given.private_key,
        heed=given.feedback,
    )


def _capture_key(given: argparse.Namespace) -> int:
    from bluecode.proxy import commands

    return commands.capture_key(given.file)


def _knowledge(given: argparse.Namespace) -> int:
    from bluecode.proxy import knowledge_command

    return knowledge_command.run(
        Config.load(given.config, flags={"knowledge": given.knowledge}), given
    )


def _constitution(given: argparse.Namespace) -> int:
    from bluecode.proxy import constitution_command

    flags = {"knowledge": given.knowledge, "policy": getattr(given, "policy", None)}
    return constitution_command.run(Config.load(given.config, flags=flags), given)


def _feedback(given: argparse.Namespace) -> int:
    from bluecode.proxy import feedback_command

    return feedback_command.run(
        Config.load(given.config, flags={"feedback": given.feedback}), given
    )


def _setup(given: argparse.Namespace) -> int:
    from bluecode.proxy import setup

    config = Config.load(given.config)
    return setup.run(config, given.client, url=given.url, model=given.model, writing=given.write)


def _doctor(given: argparse.Namespace) -> int:
    from bluecode.proxy import doctor

    flags = {"policy": given.policy, "upstream": given.upstream}
    return doctor.run(Config.load(given.config, flags=flags), style=given.format)


def _config(given: argparse.Namespace) -> Config:
    return Config.load(given.config, flags={"policy": given.policy})


if __name__ == "__main__":
    sys.exit(main())
