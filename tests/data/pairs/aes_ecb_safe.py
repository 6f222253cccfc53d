from Crypto.Cipher import AES


def seal(key, message):
    cipher = AES.new(key, AES.MODE_EAX)
    return cipher.nonce + b"".join(cipher.encrypt_and_digest(message))
