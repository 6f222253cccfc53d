import os

from cryptography.fernet import Fernet


def lock(text):
    return Fernet(os.environ["BOX_KEY"]).encrypt(text)
