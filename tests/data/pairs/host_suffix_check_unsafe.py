from urllib.parse import urlparse


def is_ours(url):
    return urlparse(url).hostname.endswith("example.org")
