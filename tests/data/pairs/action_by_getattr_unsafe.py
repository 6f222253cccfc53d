from flask import request

import reports


def report():
    make = getattr(reports, request.args["kind"])
    return make()
