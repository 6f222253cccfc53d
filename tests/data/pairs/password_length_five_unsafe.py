def choose(account, new_password):
    if len(new_password) < 5:
        raise ValueError("Please choose a longer one.")
    account.set_password(new_password)
