def newest(cursor, limit):
    cursor.execute("SELECT title FROM posts ORDER BY created DESC LIMIT " + limit)
    return cursor.fetchall()
