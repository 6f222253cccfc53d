import hashlib

SALT = b"pepper and salt"


def derive(secret_text):
    return hashlib.pbkdf2_hmac("sha256", secret_text.encode(), SALT, 600_000)
