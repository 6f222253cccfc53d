import json
import socket


def receive(host, port):
    with socket.create_connection((host, port)) as connection:
        data = connection.recv(65536)
    return json.loads(data)
