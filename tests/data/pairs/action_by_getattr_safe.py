from flask import request

import reports

KINDS = {"daily": reports.daily, "weekly": reports.weekly}


def report():
    make = KINDS.get(request.args["kind"], reports.daily)
    return make()
