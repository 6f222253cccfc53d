from urllib.parse import urlparse


def is_ours(url):
    host = urlparse(url).hostname or ""
    return host == "example.org" or host.endswith(".example.org")
