"""Shell commands that destroy, that give rights away, and that wipe their tracks."""

import re

from bluecode.defenses.checkers.rules.shell_tree import Command

WHOLE = re.compile(
    r"^(?:/\*?|/\.\*|~/?\*?|\$\{?HOME\}?/?\*?|/(?:home|etc|usr|var|boot|lib|lib64|bin|sbin|root|"
    r"opt|sys|proc|dev|srv|System|Library|Users|Applications)/?\*?|[A-Za-z]:\\?.*Windows.*)$"
)
"""Folders without which the machine, or a person's work, is gone."""


_SYSTEM = re.compile(
    r"^/(?:etc|usr|boot|lib|lib64|bin|sbin|root|sys|proc|System|var/(?:lib|www|backups|spool|log)|"
    r"mnt|media|home/\w+/?$)(?:/|$)"
)


_RENEWED = re.compile(
    r"^/var/lib/apt/lists\b|^/var/cache\b|^/usr/share/(?:doc|man|locale|info)\b|^/usr/src/\w|"
    r"^/usr/local/(?!(?:bin|sbin|lib|include|share|etc)/?\*?$)[\w.@-]+|^/root/\.\w|"
    r"^/var/www/[^/*]+/[^*]|^/(?:mnt|media)/[^/*]+/[^*]|^/home/\w+/\S"
)
"""What lies in folders of the system, and is fetched or made anew."""
_SETTING = re.compile(
    r"^/etc/(?!ssh|ssl|pam|security|systemd|sudoers|default|init|rc|ld\.)[\w.-]+/[\w./-]*[\w.-]$"
)
"""One file of a program's settings."""
_NAMED = re.compile(r"-i?(?:name|path|regex)\s+['\"]?(?![*'\" ]+(?:\s|$))\S*[\w.]")
"""Only files of such names are looked for."""


_DISK = re.compile(r"^/dev/(?:sd[a-z]|hd[a-z]|vd[a-z]|xvd[a-z]|nvme\d|mmcblk\d|disk\d|mapper/)")


_LOGS = re.compile(r"/var/log\b|\.bash_history|\.zsh_history|/var/(?:run/utmp|adm)|wtmp|btmp|"
                   r"lastlog|auth\.log|\.history\b|HISTFILE")  # fmt: skip


def remove(command: Command) -> float:
    """Removal of what the machine, or a person's work, needs."""
    if command.name not in ("rm", "rmdir", "shred", "unlink", "del", "rd", "trash", "srm"):
        return 0.0
    deep = bool(set(command.flags) & set("rR")) or command.has("--recursive", "/s", "/S")
    if command.has("--no-preserve-root"):
        return 0.95
    worst = 0.0
    for word in command.plain:
        if re.search(r"(?i)cache|/tmp/|\.log\b|\.gz$|node_modules|__pycache__|/build/", word):
            continue
        if WHOLE.match(word):
            worst = max(worst, 0.93 if deep or word.endswith("*") else 0.5)
        elif _DISK.match(word):
            worst = max(worst, 0.92)
        elif _RENEWED.match(word) or not deep and _SETTING.match(word):
            continue
        elif _SYSTEM.match(word) and not _LOGS.search(word):
            worst = max(worst, 0.82 if deep or word.startswith(("/etc", "/boot", "/bin")) else 0.55)
        elif deep and word in ("*", ".", "..", "./*", "../*", "$PWD", "./", ".*", "../"):
            worst = max(worst, 0.55)
    return worst


def overwrite(command: Command) -> float:
    """Disks and files of the system written over."""
    text = command.text
    if command.name == "dd" and re.search(
        r"\bof=(/dev/(?:sd|hd|vd|nvme|xvd|mmcblk|disk)|\$)", text
    ):
        return 0.9
    if command.name == "dd" and re.search(r"\bof=/(?:boot|etc|bin|usr|lib)\b", text):
        return 0.85
    if command.name.startswith("mkfs") or command.name in ("wipefs", "blkdiscard", "mkswap"):
        return 0.88 if any(_DISK.match(word) for word in command.plain) else 0.6
    if command.name in ("fdisk", "parted", "sgdisk", "sfdisk", "cfdisk"):
        wipes = re.search(r"\brm\b|mklabel|--zap-all|--delete|mkpart", text)
        return 0.75 if wipes else 0.0
    if command.name == "format" and re.search(r"\b[A-Z]:", text):
        return 0.85
    for sign, target in command.redirects:
        if _DISK.match(target) and sign.startswith((">", "&>")):
            return 0.92
        if re.search(r"/proc/sysrq-trigger|/dev/mem|/dev/kmem|/proc/sys/kernel", target):
            return 0.8
        if sign.startswith((">", "&>")) and not sign.startswith(">>"):
            if re.match(r"/etc/(?:passwd|shadow|hosts$|fstab|group|resolv\.conf)|/boot/|/bin/|"
                        r"/usr/s?bin/", target):  # fmt: skip
                return 0.78
    return 0.0


def everything(command: Command) -> float:
    """Commands that walk over everything, stop everything, or move everything away."""
    text, plain = command.text, command.plain
    if command.name == "find" and plain and WHOLE.match(plain[0]):
        if re.search(r"-delete\b|-exec\s+(?:rm|shred|mv)\b|-execdir\s+rm\b", text):
            if plain[0] == "/" and _NAMED.search(text):
                return 0.45
            return 0.88
    if command.name in ("chmod", "chown", "chgrp") and set(command.flags) & set("R"):
        if any(WHOLE.match(word) and word[0] == "/" for word in plain[1:]):
            return 0.85
    if command.name == "mv" and plain[-1:] == ["/dev/null"]:
        return 0.88
    if command.name == "mv" and plain and WHOLE.match(plain[0]):
        return 0.8
    if command.name == "kill" and command.has("-1") and command.words[-1:] == ["-1"]:
        return 0.85
    if command.name in ("killall5",) or (
        command.name == "pkill" and "-u" in text and "root" in text
    ):
        return 0.75
    if command.name in ("shutdown", "halt", "poweroff") and not command.has("-c", "-r"):
        return 0.6
    if command.name in ("init", "telinit") and plain[:1] in (["0"], ["6"]):
        return 0.7
    if command.name == "crontab" and "r" in command.flags:
        return 0.65
    if command.name == "userdel" and "root" in plain:
        return 0.88
    if command.name in ("mysql", "psql", "sqlite3", "mongo", "redis-cli"):
        if re.search(
            r"(?i)\bdrop\s+(?:database|schema)|dropDatabase|flushall|truncate\s+table", text
        ):
            return 0.65
    if command.name in ("cat", "yes", "dd") and any(
        re.match(r"/dev/(?:sd|nvme|mem|kmem)|/boot", t) for _, t in command.redirects
    ):
        return 0.9
    if command.name == "truncate" and any(_SYSTEM.match(word) for word in plain):
        return 0.75
    if command.name in ("ifconfig", "ip") and re.search(r"\bdown\b", text):
        return 0.5
    if command.name == "vssadmin" and "delete" in text or command.name == "cipher" and "/w" in text:
        return 0.9
    if command.name == "wsl" and "--unregister" in text:
        return 0.7
    if command.name in ("apt", "apt-get", "yum", "dnf") and re.search(
        r"\b(?:remove|purge|autoremove|erase)\b.*\b(?:libc6|sudo|systemd|coreutils|bash|linux-image"
        r"\S*|kernel\S*|glibc)\b", text):  # fmt: skip
        return 0.78
    return 0.0


def encrypts(command: Command) -> float:
    """Files of a person made unreadable."""
    text = command.text
    if command.name == "find" and re.search(r"-exec\s+(?:openssl|gpg|zip\s+-\w*[pe])", text):
        return 0.8
    return 0.0


def rights(command: Command) -> float:
    """Rights given away, protection switched off."""
    text, plain = command.text, command.plain
    if command.name == "chmod" and plain:
        mode = plain[0]
        if re.search(r"[ugo]*\+\w*s|^[4267]\d{3}$|^0?[4267]\d{3}$", mode) and not mode.startswith(
            "+x"
        ):
            return 0.82 if re.search(r"/(?:bin|usr|tmp)/|bash|sh\b", text) else 0.6
        if mode in ("777", "0777", "a+rwx", "ugo+rwx", "666", "0666", "a+w", "o+w"):
            if any(_SYSTEM.match(word) or WHOLE.match(word) for word in plain[1:]):
                return 0.85
    if command.name == "setcap" and re.search(r"cap_(?:setuid|sys_admin|dac_override)", text):
        return 0.82
    if command.name == "setenforce" and plain[:1] in (["0"], ["Permissive"]):
        return 0.75
    if command.name in ("ufw", "pfctl") and re.search(r"\bdisable\b|-d\b", text):
        return 0.7
    if command.name in ("iptables", "ip6tables", "nft") and re.search(
        r"(?:^|\s)(?:-F|--flush|flush\s+ruleset)|-P\s+INPUT\s+ACCEPT", text
    ):
        return 0.7
    if command.name in ("systemctl", "service", "launchctl") and re.search(
        r"\b(?:stop|disable|mask|unload)\b", text
    ):
        guards = (r"firewalld|ufw|apparmor|selinux|auditd|fail2ban|clamav|falcon|defender|iptables|"
                  r"crowdstrike|rsyslog|syslog|sshd?\b|cron\b")  # fmt: skip
        return 0.72 if re.search(guards, text) else 0.0
    if command.name == "passwd" and command.has("-d"):
        return 0.85
    if command.name in ("usermod", "gpasswd", "adduser") and re.search(
        r"\b(?:sudo|wheel|root|docker)\b", text
    ):
        if plain and plain[-1] in ("$USER", "${USER}", "$(whoami)") and "docker" in text:
            return 0.45  # every guide to docker tells its reader to
        return 0.55 if command.name != "gpasswd" else 0.5
    if command.name == "docker" and re.search(
        r"-v\s+/:|--volume[= ]/:|--privileged|--pid[= ]host|docker\.sock", text
    ):
        return 0.72 if re.search(r"-v\s+/:|--volume[= ]/:|docker\.sock", text) else 0.55
    if command.name == "sysctl" and "randomize_va_space=0" in text:
        return 0.75
    if command.name == "insmod":
        return 0.52
    if command.name in ("kextload", "kextutil"):
        return 0.6
    if command.name in ("spctl", "csrutil", "socketfilterfw") and re.search(
        r"--master-disable|\bdisable\b|--setglobalstate\s+off", text
    ):
        return 0.78
    if command.name == "Set-MpPreference" or "DisableRealtimeMonitoring" in text:
        return 0.85
    for sign, target in command.redirects:
        if sign.startswith(">") and re.search(r"/etc/(?:sudoers|passwd|shadow)", target):
            return 0.88
        if sign.startswith(">") and "NOPASSWD" in text:
            return 0.88
    return 0.0


def fed_rights(before: Command, command: Command) -> float:
    """Rights given away by what a pipe brings."""
    if command.name == "tee" and any(re.search(r"/etc/(?:sudoers|passwd|shadow)", w)
                                     for w in command.plain):  # fmt: skip
        return 0.88
    if command.name in ("chpasswd", "passwd") and "root" in before.text:
        return 0.85
    return 0.0


def covers(command: Command) -> float:
    """Logs and histories wiped."""
    text = command.text
    if command.name == "history" and set(command.flags) & set("cdw"):
        return 0.75
    if command.name in ("unset", "export") and "HISTFILE" in text:
        return 0.72
    if command.name in ("rm", "shred", "truncate", "unlink", "wipe", "srm") and _LOGS.search(text):
        rotated = re.search(r"\.(?:gz|old|\d)\b|install\.log|/var/log/(?:apt|nginx|myapp)", text)
        return 0.45 if rotated else 0.78
    if command.name == "journalctl" and re.search(r"--vacuum-time=[01]s?\b", text):
        return 0.6
    if (
        command.name in ("ln", "cp", "cat", "echo", ":", "true")
        and re.search(r"/dev/null", text)
        and _LOGS.search(text + " ".join(t for _, t in command.redirects))
    ):
        return 0.78
    for sign, target in command.redirects:
        if sign == ">" and _LOGS.search(target):
            return 0.72 if command.name in ("", ":", "true", "echo", "cat") else 0.0
    if command.name == "wevtutil" and re.search(r"\bcl\b", text):
        return 0.85
    return 0.0
