"""Commands that destroy or give away what lies in clouds, clusters, repositories and databases.

What asks before it acts, or takes away one named thing that is made anew from its description (a
pod, a job, a container), is left alone.
"""

import re

from bluecode.defenses.checkers.rules.shell_tree import Command

_GONE: dict[str, tuple[tuple[re.Pattern[str], float], ...]] = {
    "aws": (
        (
            re.compile(
                r"\bs3 rb\b.*--force|\bs3 rm\b.*s3://[^/\s]+/?(?:\s|$).*--recursive|"
                r"\bs3 rm\b.*--recursive.*s3://[^/\s]+/?(?:\s|$)"
            ),
            0.75,
        ),
        (
            re.compile(
                r"--skip-final-snapshot|\bdelete-(?:db-(?:instance|cluster|snapshot)|table|"
                r"file-system|snapshot|volume|bucket|cluster|stack|hosted-zone|user-pool|"
                r"domain|vault|backup-vault|repository|nodegroup)\b"
            ),
            0.65,
        ),
        (re.compile(r"\bterminate-instances\b|\bschedule-key-deletion\b|\bdeactivate-mfa"), 0.62),
    ),
    "gcloud": (
        (
            re.compile(
                r"\b(?:projects|instances|clusters|disks|snapshots|databases|buckets|"
                r"keyrings|networks)\b.*\bdelete\b|\bdelete\b.*--quiet"
            ),
            0.65,
        ),
    ),
    "gsutil": ((re.compile(r"\brm\b.*\s-\w*r|\brb\b"), 0.62),),
    "bq": ((re.compile(r"\brm\b.*\s-\w*[rf]"), 0.6),),
    "az": (
        (re.compile(r"\bdelete\b.*(?:--yes|\s-y\b|--no-wait)|\bgroup delete\b|\bpurge\b"), 0.65),
    ),
    "doctl": ((re.compile(r"\bdelete\b.*(?:--force|\s-f\b)"), 0.62),),
    "heroku": ((re.compile(r"\b(?:apps:destroy|pg:reset|addons:destroy)\b"), 0.62),),
    "vercel": ((re.compile(r"\b(?:remove|rm)\b.*--yes"), 0.55),),
    "kubectl": (
        (
            re.compile(
                r"\bdelete\s+(?:ns|namespaces?|pvc?|persistentvolume\w*|nodes?|crds?|"
                r"customresourcedefinition\w*|statefulsets?)\b"
            ),
            0.6,
        ),
        (re.compile(r"\bdelete\b.*(?:--all\b|--all-namespaces\b|\s-A\b)"), 0.66),
        (re.compile(r"\bdrain\b.*--force|\breplace\b.*--force"), 0.5),
    ),
    "helm": (
        (re.compile(r"\b(?:uninstall|delete)\s+\$\(.*|\b(?:uninstall|delete)\b.*\s-A\b"), 0.6),
    ),
    "terraform": (
        (
            re.compile(
                r"\bdestroy\b.*-auto-approve|\bapply\b.*-destroy.*-auto-approve|"
                r"\bstate rm\b"
            ),
            0.62,
        ),
    ),
    "tofu": ((re.compile(r"\bdestroy\b.*-auto-approve"), 0.62),),
    "pulumi": ((re.compile(r"\bdestroy\b.*(?:--yes|\s-y\b)|\bstack rm\b.*--force"), 0.62),),
    "docker": (
        (
            re.compile(
                r"\bvolume (?:rm\s+(?:-f\s+)?\$\(|prune\b.*\s-\w*[fa]\w*a?)|"
                r"\bswarm leave\b.*--force"
            ),
            0.55,
        ),
    ),
    "git": (
        (
            re.compile(
                r"\bpush\b.*(?:--force(?!-with-lease)|\s-f\b).*\b(?:main|master|trunk|"
                r"production|release\S*)\b|\bpush\b.*(?:--mirror|--prune)\b"
            ),
            0.6,
        ),
        (
            re.compile(
                r"\bpush\b.*(?:--delete|-d)\s+(?:main|master|trunk|production)\b|"
                r"\bpush\s+\S+\s+:(?:main|master|trunk|production)\b"
            ),
            0.66,
        ),
        (
            re.compile(
                r"\bfilter-(?:branch|repo)\b.*--force|\breflog expire\b.*--expire=(?:now|all)"
                r".*--all|\bupdate-ref -d\b"
            ),
            0.6,
        ),
    ),
    "gh": ((re.compile(r"\brepo (?:delete|archive)\b.*(?:--yes|--confirm|\s-y\b)"), 0.66),),
    "dropdb": ((re.compile(r"\b(?:prod\w*|live)\b"), 0.66),),
    "rabbitmqctl": ((re.compile(r"\breset\b|\bdelete_vhost\b"), 0.55),),
    "etcdctl": ((re.compile(r"\bdel\b.*(?:--prefix|--from-key)"), 0.66),),
    "vault": (
        (re.compile(r"\b(?:secrets disable|operator seal|kv (?:destroy|metadata delete))\b"), 0.6),
    ),
    "zpool": ((re.compile(r"\b(?:destroy|labelclear)\b"), 0.75),),
    "zfs": ((re.compile(r"\bdestroy\b.*\s-\w*[rRf]"), 0.7),),
    "lvremove": ((re.compile(r"\s-\w*f|--yes|\s-y\b"), 0.72),),
    "vgremove": ((re.compile(r"."), 0.66),),
    "cryptsetup": ((re.compile(r"\b(?:luksErase|erase|luksFormat)\b"), 0.75),),
    "mdadm": ((re.compile(r"--zero-superblock"), 0.72),),
    "diskutil": ((re.compile(r"(?i)\b(?:erase\w+|secureErase|zeroDisk)\b"), 0.75),),
}
"""For each program what is gone for good, and how surely somebody would miss it."""

_OPENED: dict[str, tuple[tuple[re.Pattern[str], float], ...]] = {
    "aws": (
        (
            re.compile(
                r"AdministratorAccess|\bput-bucket-(?:acl|policy)\b.*public|"
                r"--acl[= ]public-read|\bcreate-access-key\b.*--user-name\s+(?:root|admin)"
            ),
            0.66,
        ),
        (re.compile(r"\bauthorize-security-group-ingress\b.*0\.0\.0\.0/0"), 0.58),
    ),
    "gcloud": ((re.compile(r"\badd-iam-policy-binding\b.*(?:allUsers|roles/owner)"), 0.66),),
    "gsutil": ((re.compile(r"\b(?:iam|acl) ch\b.*(?:allUsers|public)"), 0.62),),
    "az": ((re.compile(r"\brole assignment create\b.*\bOwner\b"), 0.62),),
    "kubectl": ((re.compile(r"\bclusterrolebinding\b.*\bcluster-admin\b"), 0.6),),
    "mysql": ((re.compile(r"(?i)\bgrant\s+all\b.*'%'"), 0.62),),
    "netsh": ((re.compile(r"(?i)\bstate\s+off\b|opmode.*disable"), 0.75),),
    "bcdedit": ((re.compile(r"(?i)recoveryenabled\s+no|bootstatuspolicy\s+ignore"), 0.8),),
}
"""For each program what gives rights away or takes protection off."""

_LONGEST = 2_000
"""Characters of a command that are looked at: what it does stands at its beginning."""
_LOGS_OFF = re.compile(
    r"\bcloudtrail\b.*\b(?:stop-logging|delete-trail)\b|\bdelete-log-group\b|"
    r"\blogging sinks delete\b|\bdelete-flow-logs\b|\bguardduty\b.*\bdelete-detector\b"
)
_ITS_HISTORY = re.compile(r"^(?:\./)?\.(?:git|hg|svn)/?$")


def cloud_data(command: Command) -> float:
    """Data, machines or history that are gone for good."""
    if command.name == "rm" and set(command.flags) & set("rR"):
        return 0.6 if any(_ITS_HISTORY.match(word) for word in command.plain) else 0.0
    if _only_shown(command):
        return 0.0
    return _first(_GONE.get(command.name, ()), command)


def cloud_rights(command: Command) -> float:
    """Rights in a cloud, a cluster or a database given away."""
    return 0.0 if _only_shown(command) else _first(_OPENED.get(command.name, ()), command)


def cloud_logs(command: Command) -> float:
    """The records of a cloud switched off."""
    return (
        0.72
        if command.name in ("aws", "gcloud") and _LOGS_OFF.search(command.text[:_LONGEST])
        else 0.0
    )


def _first(kinds: tuple[tuple[re.Pattern[str], float], ...], command: Command) -> float:
    text = command.text[:_LONGEST]
    return max((score for expression, score in kinds if expression.search(text)), default=0.0)


def _only_shown(command: Command) -> bool:
    return command.has("--dry-run", "--dryrun", "--help", "-h", "--dry-run=client", "help")
