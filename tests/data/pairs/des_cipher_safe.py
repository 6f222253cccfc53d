from Crypto.Cipher import AES


def protect(key, message):
    cipher = AES.new(key, AES.MODE_GCM)
    text, tag = cipher.encrypt_and_digest(message)
    return cipher.nonce + tag + text
