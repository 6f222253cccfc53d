import random
import string


def make_reset_token(length=32):
    letters = string.ascii_letters + string.digits
    return "".join(random.choice(letters) for _ in range(length))
