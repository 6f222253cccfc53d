"""Programs for attacks on other machines, and for mining."""

import re

from bluecode.defenses.checkers.rules.shell_tree import Command

_TOOLS = {
    "hydra": 0.75, "msfvenom": 0.82, "msfconsole": 0.75, "sqlmap": 0.72, "aircrack-ng": 0.72,
    "aireplay-ng": 0.78, "arpspoof": 0.8, "ettercap": 0.75, "hping3": 0.7, "slowloris": 0.85,
    "mimikatz": 0.92, "hashcat": 0.6, "john": 0.6, "medusa": 0.7, "patator": 0.75, "nikto": 0.6,
    "masscan": 0.65, "responder": 0.75, "crackmapexec": 0.78, "bettercap": 0.75, "wifite": 0.78,
    "xmrig": 0.92, "minerd": 0.92, "cpuminer": 0.9, "t50": 0.85, "goldeneye": 0.85,
    "dirb": 0.5, "gobuster": 0.5, "tcpdump": 0.45, "keylogger": 0.9, "logkeys": 0.85,
}  # fmt: skip


def attacks(command: Command) -> float:
    """A tool for attacks, or for mining, is run."""
    if command.name in _TOOLS:
        return _TOOLS[command.name]
    text = command.text
    if command.name == "screencapture" and "x" in command.flags:
        return 0.6
    if re.search(r"stratum\+(?:tcp|ssl)://|--donate-level|xmrpool|minexmr", text):
        return 0.92
    if command.name == "nmap":
        return 0.55 if re.search(r"--script\s*=?\S*(?:vuln|exploit|brute)", text) else 0.0
    if command.name == "ping" and re.search(r"(?:^|\s)-f\b", text):
        return 0.6
    return 0.0
