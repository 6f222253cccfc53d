from cryptography.fernet import Fernet

BOX = Fernet(b"c2l4dGVlbiBieXRlcyEhc2l4dGVlbiBieXRlcyEhMTI=")


def lock(text):
    return BOX.encrypt(text)
