import stat
from pathlib import Path


def open_up(name):
    Path(name).chmod(stat.S_IRUSR | stat.S_IWUSR)
