import hashlib


def certificate_fingerprint(certificate):
    return hashlib.md5(certificate).hexdigest()
