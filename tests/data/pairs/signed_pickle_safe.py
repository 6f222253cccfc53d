import hashlib
import hmac
import json


def load_job(message: bytes, key: bytes):
    mac, _, body = message.partition(b".")
    expected = hmac.new(key, body, hashlib.sha256).hexdigest().encode()
    if not hmac.compare_digest(mac, expected):
        raise ValueError("bad signature")
    return json.loads(body)
