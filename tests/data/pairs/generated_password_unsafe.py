import random


def new_account(name):
    password = "".join(random.sample("abcdefghjkmnpqrstuvwxyz23456789", 10))
    return {"name": name, "password": password}
