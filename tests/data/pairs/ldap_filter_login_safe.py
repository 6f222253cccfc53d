from ldap.filter import escape_filter_chars


def find_user(connection, name):
    return connection.search_s(
        "ou=people,dc=example,dc=org", 2, f"(uid={escape_filter_chars(name)})"
    )
