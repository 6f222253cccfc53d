import os

from Crypto.Cipher import AES
from Crypto.Util.Padding import pad


def encrypt(key, text):
    vector = os.urandom(16)
    return vector + AES.new(key, AES.MODE_CBC, vector).encrypt(pad(text, 16))
