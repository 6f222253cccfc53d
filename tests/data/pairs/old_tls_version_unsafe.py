import ssl


def make_context():
    return ssl.SSLContext(ssl.PROTOCOL_TLSv1)
