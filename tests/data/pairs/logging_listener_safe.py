import logging.config

listener = logging.config.listen(9030, verify=signed_by_operator)
listener.start()
