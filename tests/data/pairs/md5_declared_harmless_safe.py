import hashlib


def certificate_fingerprint(certificate):
    return hashlib.sha256(certificate).hexdigest()
