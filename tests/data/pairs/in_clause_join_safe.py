def load_many(connection, names):
    marks = ", ".join("?" for _ in names)
    return connection.execute(f"SELECT * FROM users WHERE name IN ({marks})", names).fetchall()
