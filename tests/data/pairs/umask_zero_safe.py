import os


def start_daemon():
    os.umask(0o077)
    os.makedirs("/var/run/service", mode=0o700, exist_ok=True)
