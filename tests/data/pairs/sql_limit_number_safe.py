def newest(cursor, limit):
    cursor.execute("SELECT title FROM posts ORDER BY created DESC LIMIT " + str(int(limit)))
    return cursor.fetchall()
