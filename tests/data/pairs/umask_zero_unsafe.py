import os


def start_daemon():
    os.umask(0)
    os.makedirs("/var/run/service", mode=0o777, exist_ok=True)
