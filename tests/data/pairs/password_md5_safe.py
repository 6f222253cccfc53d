import hashlib
import os


def store_password(user, password):
    salt = os.urandom(16)
    key = hashlib.pbkdf2_hmac("sha256", password.encode(), salt, 600_000)
    user.password_hash = salt.hex() + key.hex()
