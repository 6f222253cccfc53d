import psycopg2


def connect():
    return psycopg2.connect(host="db", user="shop", password="Gr4n1te!Falls")
