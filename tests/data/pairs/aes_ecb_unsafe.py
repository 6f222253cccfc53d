from Crypto.Cipher import AES
from Crypto.Util.Padding import pad


def seal(key, message):
    return AES.new(key, AES.MODE_ECB).encrypt(pad(message, 16))
