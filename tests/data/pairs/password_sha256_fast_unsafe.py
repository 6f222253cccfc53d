import hashlib


def check_login(record, password):
    digest = hashlib.sha256((record.salt + password).encode()).hexdigest()
    return digest
