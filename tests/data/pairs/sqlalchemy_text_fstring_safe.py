from sqlalchemy import text


def delete_session(engine, token):
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM sessions WHERE token = :token"), {"token": token})
