import stat
from pathlib import Path


def open_up(name):
    Path(name).chmod(stat.S_IRWXU | stat.S_IRWXG | stat.S_IRWXO)
