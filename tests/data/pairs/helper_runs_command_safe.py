import subprocess

import tornado.web


def _run(arguments):
    return subprocess.check_output(arguments)


class Whois(tornado.web.RequestHandler):
    def get(self):
        domain = self.get_argument("domain")
        self.finish({"text": _run(["whois", "--", domain]).decode()})
