from werkzeug.security import check_password_hash


def is_admin(user, password):
    return user.is_admin and check_password_hash(user.password_hash, password)
