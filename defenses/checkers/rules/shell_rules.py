"""What makes a shell command harmful: tests of single commands, of pipes, and of whole lines."""

import re
from collections.abc import Callable

from bluecode.defenses.checkers.rules.shell_cloud import cloud_data, cloud_logs, cloud_rights
from bluecode.defenses.checkers.rules.shell_harm import (
    WHOLE,
    covers,
    encrypts,
    everything,
    fed_rights,
    overwrite,
    remove,
    rights,
)
from bluecode.defenses.checkers.rules.shell_tools import (
    attacks,
)
from bluecode.defenses.checkers.rules.shell_tree import Command

Test = Callable[[Command], float]
Feed = Callable[[Command, Command], float]

_SHELLS = frozenset({"sh", "bash", "zsh", "dash", "ksh", "ash", "fish", "python", "python3",
                     "perl", "ruby", "node", "php", "source", ".", "python2", "pwsh",
                     "powershell"})  # fmt: skip
_FETCHERS = frozenset({"curl", "wget", "fetch", "lynx", "aria2c", "http", "ftp", "tftp"})
_DECODERS = frozenset({"base64", "base32", "xxd", "uudecode", "openssl", "rev", "gunzip", "zcat",
                       "hexdump", "printf"})  # fmt: skip
_SENDERS = frozenset({"curl", "wget", "nc", "ncat", "netcat", "socat", "scp", "rsync", "ftp",
                      "sftp", "telnet", "mail", "sendmail", "mutt", "ssh", "http"})  # fmt: skip

_SECRETS = re.compile(
    r"/etc/(?:passwd|shadow|gshadow|sudoers|ssl/private)|\.ssh(?:/|\b)|id_(?:rsa|ed25519|ecdsa|dsa)\b|"
    r"\.aws/|\.env\b|\.netrc|\.bash_history|\.zsh_history|\.gnupg|\.kube/config|\.git-credentials|"
    r"\.npmrc|\.pypirc|\.docker/config|Login Data|cookies\.sqlite|logins\.json|/proc/\w+/environ|"
    r"wallet\.dat|\.pem\b|\.p12\b|\.pfx\b|credentials(?:\.json|\.xml|\b)|master\.key|keychain|"
    r"\.config/gcloud|\.azure|secrets?\.(?:ya?ml|json|txt)|passwords?\.(?:txt|csv|db)|\bkeystore"
)
_OF_THE_USER = re.compile(r"^(?:env|printenv|set|hostname|whoami|id|uname|ifconfig|history)$")
_STARTS = re.compile(
    r"\.bashrc|\.bash_profile|\.profile|\.zshrc|/etc/profile|/etc/rc\.local|/etc/init\.d|"
    r"/etc/cron|/var/spool/cron|crontab|authorized_keys|/etc/systemd/system|ld\.so\.preload|"
    r"\.config/autostart|LaunchAgents|LaunchDaemons|/etc/ld\.so|\.config/systemd|/etc/update-motd"
)
_ALWAYS_BAD_START = re.compile(r"authorized_keys|ld\.so\.preload|/etc/crontab|/etc/cron\.|"
                               r"/var/spool/cron|/etc/rc\.local|LaunchDaemons|/etc/update-motd|"
                               r"/etc/init\.d")  # fmt: skip
_NETWORK = re.compile(
    r"/dev/(?:tcp|udp)/|\bcurl\b|\bwget\b|\bnc\b|\bncat\b|base64|socket|bash -i|python3? -c|"
    r"\bnohup\b|reverse|backdoor|\d+\.\d+\.\d+\.\d+"
)
_ADDRESS = re.compile(r"https?://\d+\.\d+\.\d+\.\d+|^http://(?!localhost|127\.)|pastebin|ngrok|"
                      r"raw\.paste|transfer\.sh|\.onion|bit\.ly|tinyurl")  # fmt: skip


def _reverse(command: Command) -> float:
    text = command.text + " " + " ".join(target for _, target in command.redirects)
    if re.search(r"/dev/(?:tcp|udp)/", text):
        return 0.95 if command.name in ("bash", "sh", "exec", "zsh", "") else 0.85
    if command.name in ("nc", "ncat", "netcat", "nc.traditional"):
        if re.search(r"(?:^|\s)-\w*[ec]\b\s*\S*(?:sh|cmd|bash)|--(?:sh-)?exec\b", text):
            return 0.95
        return 0.5 if "l" in command.flags and "p" in command.flags else 0.0
    if command.name == "socat" and re.search(r"(?i)exec:|system:", text):
        return 0.93
    if command.name in _SHELLS and re.search(r"socket|Socket|fsockopen|TCPSocket", text):
        return 0.92 if re.search(r"dup2|/bin/(?:ba)?sh|exec|subprocess|pty", text) else 0.5
    if command.name in ("telnet", "openssl") and re.search(r"s_client.*\|.*sh", text):
        return 0.9
    return 0.0


def _code_from_network(command: Command) -> float:
    if command.name in ("eval", *_SHELLS) and command.inner:
        for inner in command.inner:
            if inner.name in _FETCHERS:
                return _fetched(inner)
    text = command.text
    if command.name in ("python", "python3", "perl", "ruby", "node", "php") and re.search(
        r"(?:urlopen|requests\.get|urllib|open-uri|LWP|file_get_contents|http\.get)", text
    ):
        return 0.82 if re.search(r"exec|eval|system", text) else 0.0
    if command.name in ("powershell", "pwsh") and re.search(
        r"(?i)downloadstring|iex|invoke-expression|-enc", text
    ):
        # A project's own installer, by name and encrypted, is what its page tells users to run.
        named = re.search(r"(?i)https://[a-z][\w.-]*\.[a-z]{2,}(?:/|['\"\s]|$)", text)
        hidden = re.search(r"(?i)-e(?:c|nc\w*)?\s|hidden|http://|-nop\b|\bnoprofile", text)
        return 0.72 if named and not hidden else 0.88
    if command.name in ("iex", "mshta", "regsvr32", "certutil", "bitsadmin"):
        return 0.85 if re.search(r"https?://|-urlcache|-decode", text) else 0.0
    return 0.0


def _fetched(fetch: Command) -> float:
    """Code from a bare address or without encryption is worse than from a project's own site."""
    for word in fetch.plain:
        if _ADDRESS.search(word):
            return 0.92
    if fetch.has("-k", "--insecure", "--no-check-certificate"):
        return 0.9
    return 0.72


def _package_from_stranger(command: Command) -> float:
    """A package from a bare address, or from an index without encryption."""
    if command.name not in _INSTALLERS:
        return 0.0
    text = command.text
    if not re.search(r"\b(?:install|add|i|publish|sync)\b", text):
        return 0.0
    return 0.72 if _FOREIGN.search(text) else 0.0


_INSTALLERS = frozenset({"pip", "pip3", "npm", "yarn", "pnpm", "gem", "uv", "cargo",
                         "easy_install"})  # fmt: skip
_FOREIGN = re.compile(r"https?://(?!127\.|10\.|192\.168\.)\d+\.\d+\.\d+\.\d+")


def _into_shell(before: Command, command: Command) -> float:
    if command.name not in _SHELLS:
        return 0.0
    if command.name.startswith(("python", "node", "php", "ruby", "perl")) and command.plain:
        return 0.0  # the program is given by name; what comes is its data
    at: Command | None = before
    while at is not None:
        if at.name in _FETCHERS:
            return _fetched(at)
        at = at.fed_by
    return 0.0


def _decoded_into_shell(before: Command, command: Command) -> float:
    if command.name not in _SHELLS and command.name not in ("eval", "xargs"):
        return 0.0
    at: Command | None = before
    while at is not None:
        if at.name in _DECODERS and (at.name in ("rev", "zcat", "gunzip") or re.search(
            r"(?:^|\s)(?:-d|--decode|-D|-r|-p|enc)\b|\\x", at.text
        )):  # fmt: skip
            return 0.88
        if at.name == "tr" and len(at.words) == 2 and len(at.words[0]) > 4:
            return 0.7
        at = at.fed_by
    return 0.0


def _decoded(command: Command) -> float:
    """`eval "$(… | base64 -d)"` and code that unpacks itself."""
    text = command.text
    if command.name in ("eval", *_SHELLS):
        for inner in command.inner:
            if inner.name in _DECODERS and re.search(
                r"-d\b|--decode|-D\b|-r\b|\\x|^rev", inner.text
            ):
                return 0.86
    if command.name in _SHELLS and re.search(
        r"exec\s*\(.*(?:b64decode|base64|fromhex|decompress|marshal)|"
        r"eval\s*\(.*(?:b64|base64|gzinflate|str_rot13|atob)", text
    ):  # fmt: skip
        return 0.88
    if re.search(r"(?:\\x[0-9a-f]{2}){6}", text) and command.name in (
        "eval",
        "echo",
        "printf",
        *_SHELLS,
    ):
        return 0.6 if command.name in ("echo", "printf") else 0.85
    if command.name in ("powershell", "pwsh") and re.search(
        r"(?i)-e(?:nc|ncodedcommand)?\s+\S{20}", text
    ):
        return 0.9
    return 0.0


def _sends_secret(command: Command) -> float:
    if command.name not in _SENDERS:
        return 0.0
    text = command.text + " " + " ".join(t for s, t in command.redirects if s.startswith("<"))
    sends = command.name not in ("curl", "wget", "http") or re.search(
        r"(?:^|\s)(?:-d|--data\S*|-F|--form|-T|--upload-file|--post-file\S*|--post-data\S*|"
        r"-X\s*P\w+|--body-file\S*)", text
    )  # fmt: skip
    if _SECRETS.search(text) and sends and not _own_key(command):
        return 0.88
    for inner in command.inner:
        if _OF_THE_USER.match(inner.name) and sends:
            return 0.72
        if inner.name in ("cat", "base64", "tar") and _SECRETS.search(inner.text):
            return 0.9
    return 0.0


def _own_key(command: Command) -> bool:
    """`ssh -i ~/.ssh/id_rsa` logs in with a key, and sends none of it."""
    if command.name not in ("ssh", "scp", "rsync", "sftp"):
        return False
    others = [
        word for at, word in enumerate(command.words)
        if at == 0 or command.words[at - 1] not in ("-i", "-F", "-o", "-e")
    ]  # fmt: skip
    return not _SECRETS.search(" ".join(others))


def _fed_secret(before: Command, command: Command) -> float:
    if command.name not in _SENDERS:
        return 0.0
    at: Command | None = before
    while at is not None:
        if _SECRETS.search(at.text):
            return 0.9
        if _OF_THE_USER.match(at.name) and command.name in ("curl", "nc", "ncat", "netcat", "wget"):
            return 0.75
        if at.name in ("tar", "zip") and any(WHOLE.match(word) for word in at.plain):
            return 0.85
        if at.name in ("tar", "zip") and command.name in ("curl", "nc", "ncat", "netcat"):
            if any(word.startswith(("~/", "$HOME/", "/home/")) for word in at.plain):
                return 0.7
        if at.name == "kubectl" and re.search(r"\bget\s+secrets?\b", at.text):
            return 0.85
        at = at.fed_by
    return 0.0


def _reads_secret(command: Command) -> float:
    if command.name not in ("cat", "less", "more", "head", "tail", "strings", "cp", "grep", "awk",
                            "xxd", "base64", "nano", "vi", "vim", "dd", "od", "sed", "tar", "zip",
                            "mv"):  # fmt: skip
        return 0.0
    text = " ".join(command.plain)
    if re.search(r"/etc/g?shadow|id_(?:rsa|ed25519|ecdsa|dsa)\b(?!\.pub)|Login Data|logins\.json|"
                 r"wallet\.dat|/proc/\w+/environ|\.aws/credentials|\.git-credentials|cookies\.sqlite|"
                 r"/etc/sudoers|\.gnupg|\.bash_history", text):  # fmt: skip
        return 0.68
    return 0.0


def _plants(command: Command) -> float:
    text = command.text + " " + command.given
    for sign, target in command.redirects:
        if sign.startswith((">", "&>")) and _STARTS.search(target):
            if _ALWAYS_BAD_START.search(target):
                return 0.82
            return 0.85 if _NETWORK.search(text) else 0.0
    if command.name == "tee" and any(_ALWAYS_BAD_START.search(word) for word in command.plain):
        return 0.8
    if command.name in ("cp", "mv", "install", "ln") and command.plain:
        return 0.72 if _ALWAYS_BAD_START.search(command.plain[-1]) else 0.0
    if command.name == "crontab" and command.given and _NETWORK.search(command.given):
        return 0.82
    if command.name == "launchctl" and re.search(r"\b(?:load|bootstrap)\b", text):
        return 0.55
    if command.name == "osascript" and re.search(r"login item|LoginItems", text):
        return 0.6
    if command.name == "reg" and re.search(r"(?i)\badd\b.*\\(?:Run|RunOnce|Winlogon)\b", text):
        return 0.75
    if command.name == "at" and command.given and _NETWORK.search(command.given):
        return 0.75
    if command.name == "schtasks" and "/create" in text.lower():
        return 0.7
    if command.name in ("useradd", "adduser") and re.search(r"-o\b.*-u\s*0|-u\s*0\b", text):
        return 0.9
    if command.name == "ssh-copy-id":
        return 0.45
    return 0.0


def _fed_plant(before: Command, command: Command) -> float:
    if command.name == "crontab" and "-" in command.words:
        return 0.8 if _NETWORK.search(before.text) else 0.45
    if command.name == "tee" and any(_STARTS.search(word) for word in command.plain):
        bad = any(_ALWAYS_BAD_START.search(word) for word in command.plain)
        return 0.82 if bad or _NETWORK.search(before.text) else 0.0
    if command.name == "at" and _NETWORK.search(before.text):
        return 0.75
    return 0.0


def _eval_variable(command: Command) -> float:
    if command.name == "eval":
        return 0.6 if re.search(r"\$(?!\()", " ".join(command.words)) else 0.0
    if command.name in ("bash", "sh", "zsh") and command.has("-c") and command.parts:
        last = command.parts[-1]
        joined = last.role == "join" and any(part.role == "name" for part in last.args)
        return 0.6 if joined else 0.0
    return 0.0


def _bare_variable(command: Command) -> float:
    """`rm -rf $x/…` deletes everything when the variable is empty or has blanks."""
    if command.name not in ("rm", "mv", "cp", "chmod", "chown", "find"):
        return 0.0
    deep = command.name == "rm" and bool(set(command.flags) & set("rR"))
    for part in command.parts:
        names = [p for p in (part.args if part.role == "join" else [part]) if p.role == "name"]
        text = "".join(p.name for p in names)
        if not names or ":?" in text or part.type == "quoted" and not deep:
            continue
        starts = part.role == "name" or part.args[0].role == "name"
        rest = "" if part.role == "name" else "".join(
            p.name for p in part.args[1:] if p.role == "text")  # fmt: skip
        if deep and starts and rest.startswith("/") and rest.strip("/") in ("", "*"):
            return 0.62
        if part.type == "quoted":
            continue
        if deep:
            return 0.52
    return 0.0


def _open_rights(command: Command) -> float:
    if command.name == "chmod" and command.plain[:1] and command.plain[0] in (
        "777", "0777", "a+rwx", "ugo+rwx", "666", "0666", "o+w", "a+w", "1777",
    ):  # fmt: skip
        return 0.6 if "R" in command.flags else 0.55
    if command.name == "umask" and command.plain[:1] in (["0"], ["000"], ["0000"]):
        return 0.55
    return 0.0


def _no_certificates(command: Command) -> float:
    text = command.text
    if command.name == "curl" and (command.has("--insecure") or "k" in command.flags):
        return 0.58
    if command.name == "wget" and command.has("--no-check-certificate"):
        return 0.58
    if command.name == "git" and re.search(r"http\.sslVerify[= ]false", text):
        return 0.62
    if command.name in ("ssh", "scp", "rsync") and "StrictHostKeyChecking=no" in text:
        return 0.5
    if command.name in ("export", "npm") and re.search(
        r"NODE_TLS_REJECT_UNAUTHORIZED=0|GIT_SSL_NO_VERIFY|strict-ssl false|PYTHONHTTPSVERIFY=0",
        text,
    ):
        return 0.62
    return 0.0


def _secret_words(command: Command) -> float:
    text = command.text
    if command.name in ("mysql", "mysqldump", "mysqladmin") and re.search(
        r"\s-p[^\s$'\"]\S*", text
    ):
        return 0.55
    if command.name == "sshpass" and re.search(r"-p\s*[^\s$]", text):
        return 0.58
    if re.search(r"--(?:password|passwd|token|secret|api-key)[= ](?![$\"'<]|\s|-)\w{4,}", text):
        return 0.52
    if command.name == "curl" and re.search(r"(?:-u|--user)[= ]\s*[^\s$:'\"<]+:[^\s$'\"<]+", text):
        return 0.5
    return 0.0


def _sql_text(command: Command) -> float:
    if command.name in ("mysql", "psql", "sqlite3") and command.parts:
        for part in command.parts:
            if part.role == "join" and any(p.role == "name" for p in part.args) and re.search(
                r"(?i)\b(?:select|insert|update|delete)\b", "".join(p.name for p in part.args)
            ):  # fmt: skip
                return 0.55
    return 0.0


COMMANDS: tuple[tuple[str, Test], ...] = (
    ("destructive_command", remove),
    ("destructive_command", overwrite),
    ("destructive_command", everything),
    ("destructive_command", encrypts),
    ("destructive_command", cloud_data),
    ("privilege", cloud_rights),
    ("hidden_tracks", cloud_logs),
    ("remote_code", _package_from_stranger),
    ("reverse_shell", _reverse),
    ("remote_code", _code_from_network),
    ("obfuscated_command", _decoded),
    ("exfiltration", _sends_secret),
    ("exfiltration", _reads_secret),
    ("persistence", _plants),
    ("privilege", rights),
    ("hidden_tracks", covers),
    ("attack_tool", attacks),
    ("code_injection", _eval_variable),
    ("unquoted_variable", _bare_variable),
    ("file_permissions", _open_rights),
    ("tls_off", _no_certificates),
    ("secret_argument", _secret_words),
    ("sql_injection", _sql_text),
)
"""Tests of a command by itself."""

FEEDS: tuple[tuple[str, Feed], ...] = (
    ("remote_code", _into_shell),
    ("obfuscated_command", _decoded_into_shell),
    ("exfiltration", _fed_secret),
    ("persistence", _fed_plant),
    ("privilege", fed_rights),
)
"""Tests of what a pipe brings to a command."""

LINES: tuple[tuple[str, "re.Pattern[str]", float], ...] = (
    ("destructive_command", re.compile(r":\s*\(\s*\)\s*\{\s*:\s*\|\s*:?\s*&\s*\}\s*;|"
                                       r"(\w+)\s*\(\)\s*\{\s*\1\s*\|\s*\1\s*&\s*\}"), 0.95),
    ("remote_code", re.compile(r"\b(?:curl|wget)\b[^|;]*(?:-o|-O|>)\s*(\S+)[^\n]*(?:&&|;)\s*"
                               r"(?:sudo\s+)?chmod\s+\S+\s+\S+[^\n]*(?:&&|;)\s*(?:sudo\s+)?(?:\./|/)"),
     0.7),
    ("temporary_file", re.compile(r">\s*/tmp/\S*\$\$"), 0.52),
    ("remote_code", re.compile(r"\b(?:curl|wget)\b[^|;&]*\s-[A-Za-z]*[oO]\s*(\S+)[^|;&]*&&\s*"
                               r"(?:sudo\s+)?(?:chmod\s+\S+\s+\1\s*(?:&&|;)\s*(?:sudo\s+)?\1|(?:ba)?sh\s+\1)"),
     0.72),
    ("privilege", re.compile(r"\b(?:DYLD_INSERT_LIBRARIES|LD_PRELOAD)=\S+\s+sudo\b|"
                             r"\bsudo\s+(?:DYLD_INSERT_LIBRARIES|LD_PRELOAD)="), 0.72),
    ("persistence", re.compile(r"\balias\s+(?:sudo|su|ssh|passwd|login)=.*>>\s*\S*(?:rc|profile)\b|"
                               r"export\s+PATH=(?:/tmp|\.|/dev/shm|/var/tmp)[^:\s]*:"), 0.72),
    ("reverse_shell", re.compile(r"mkfifo\s+\S+.*\bnc\b|\bnc\b.*\|\s*/bin/(?:ba)?sh"), 0.93),
    ("exfiltration", re.compile(r"\bcat\b[^|;]*(?:\.ssh/|/etc/shadow|\.aws/cred)[^|;]*\|\s*"
                                r"(?:base64\s*\|\s*)?(?:curl|nc|wget)"), 0.9),
    ("obfuscated_command", re.compile(r"\bbase(?:64|32)\s+(?:-d|-D|--decode)\b[^|]{0,99}>"
                                      r"\s*(\S{1,80})[^|]{0,99}(?:&&|;)\s*(?:sudo\s+)?"
                                      r"(?:(?:ba|z)?sh\s+|chmod\s+\S+\s+)?\1"), 0.8),
    ("obfuscated_command", re.compile(r"(?:^|[;&|]\s*)\$\(\s*(?:printf|echo\s+-e)\s+['\"]?\\+"),
     0.8),
    ("obfuscated_command", re.compile(r"(?:^|[;&|]\s*)\$\w+\$\w+\s+-\w*[rf]"), 0.62),
    ("remote_code", re.compile(r"\b(?:curl|wget)\b[^|;]{0,99}https?://\d+\.\d+\.\d+\.\d+[^|;]{0,99}"
                               r"\|\s*tar\b[^|;&]{0,99}&&\s*(?:sudo\s+)?\./"), 0.75),
    ("exfiltration", re.compile(r"\$\(\s*(?:cat|head|base64)\b[^)]{0,99}(?:/etc/passwd|/etc/shadow|"
                                r"\.ssh/|\.aws/|\.env\b)[^)]{0,99}\).{0,99}"
                                r"\b(?:dig|nslookup|host|ping)\b\s+\S{0,80}\$"), 0.85),
    ("exfiltration", re.compile(r"\btcpdump\b[^|]{0,99}-w\s+-[^|]{0,99}\|\s*"
                                r"(?:nc|ncat|curl|socat)\b"), 0.85),
    ("destructive_command", re.compile(r"\b(?:openssl\s+enc|gpg\b.{0,80}\s-c\b)[^|]{0,99}"
                                       r"(?:&&|;)\s*(?:rm|shred)\b"), 0.7),
    ("destructive_command", re.compile(r"^\s*(?::\s*)?>\s*/etc/(?:passwd|shadow|fstab|group)"),
     0.8),
    ("hidden_tracks", re.compile(r"\bunset\s+HISTFILE\b|\bHISTFILE=/dev/null|\bHISTSIZE=0\b"), 0.6),
    ("destructive_command", re.compile(r"while\s+(?:true|:|\[\s*1\s*\])\s*;\s*do\s*[^;]*&\s*"
                                       r"(?:;|\n)?\s*done"), 0.6),
)  # fmt: skip
"""What is seen in a whole line only."""
