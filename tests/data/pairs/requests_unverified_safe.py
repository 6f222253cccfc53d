import requests


def fetch_status(node):
    return requests.get("https://status.internal/" + node, timeout=5).json()
