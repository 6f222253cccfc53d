import requests


def fetch_status(node):
    return requests.get("https://status.internal/" + node, verify=False, timeout=5).json()
