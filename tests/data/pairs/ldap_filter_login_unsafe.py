def find_user(connection, name):
    return connection.search_s("ou=people,dc=example,dc=org", 2, f"(uid={name})")
