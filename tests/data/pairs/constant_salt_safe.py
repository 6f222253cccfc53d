import hashlib
import os


def derive(secret_text):
    salt = os.urandom(16)
    return salt + hashlib.pbkdf2_hmac("sha256", secret_text.encode(), salt, 600_000)
