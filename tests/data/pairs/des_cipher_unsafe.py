from Crypto.Cipher import DES
from Crypto.Random import get_random_bytes
from Crypto.Util.Padding import pad


def protect(key, message):
    vector = get_random_bytes(8)
    return vector + DES.new(key, DES.MODE_CBC, vector).encrypt(pad(message, 8))
