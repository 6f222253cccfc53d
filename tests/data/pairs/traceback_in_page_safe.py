import logging


def broken_page():
    logging.exception("page failed")
    return "<html><body><p>Something went wrong.</p></body></html>"
