import logging

log = logging.getLogger(__name__)


def authenticate(name, password):
    log.info("checking %s", name)
    return lookup(name, password)
