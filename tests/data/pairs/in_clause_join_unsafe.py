def load_many(connection, names):
    listed = ", ".join("'" + name + "'" for name in names)
    return connection.execute("SELECT * FROM users WHERE name IN (" + listed + ")").fetchall()
