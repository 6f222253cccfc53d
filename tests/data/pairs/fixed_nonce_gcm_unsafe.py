from cryptography.hazmat.primitives.ciphers.aead import AESGCM


def encrypt(key, text):
    return AESGCM(key).encrypt(b"unique nonce", text, None)
