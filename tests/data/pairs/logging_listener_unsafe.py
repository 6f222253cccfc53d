import logging.config

listener = logging.config.listen(9030)
listener.start()
