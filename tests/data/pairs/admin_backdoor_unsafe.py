def is_admin(user, password):
    return user == "admin" and password == "l3tm3in!2024"
