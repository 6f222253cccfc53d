import secrets


def new_account(name):
    password = "".join(secrets.choice("abcdefghjkmnpqrstuvwxyz23456789") for _ in range(16))
    return {"name": name, "password": password}
