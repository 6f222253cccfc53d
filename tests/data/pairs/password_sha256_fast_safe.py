import hashlib


def check_login(record, password):
    derived = hashlib.scrypt(password.encode(), salt=record.salt, n=2**15, r=8, p=1)
    return derived
