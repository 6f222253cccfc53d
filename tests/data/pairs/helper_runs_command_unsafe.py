import subprocess

import tornado.web


def _run(command):
    return subprocess.check_output(command, shell=True)


class Whois(tornado.web.RequestHandler):
    def get(self):
        domain = self.get_argument("domain")
        self.finish({"text": _run("whois " + domain).decode()})
