import hashlib


def sign_token(token, secret):
    return hashlib.sha1((secret + token).encode()).hexdigest()
