from Crypto.Cipher import AES
from Crypto.Util.Padding import pad

IV = b"\x00" * 16


def encrypt(key, text):
    return AES.new(key, AES.MODE_CBC, IV).encrypt(pad(text, 16))
