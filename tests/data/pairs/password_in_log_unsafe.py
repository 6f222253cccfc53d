import logging

log = logging.getLogger(__name__)


def authenticate(name, password):
    log.info("checking %s with %s", name, password)
    return lookup(name, password)
