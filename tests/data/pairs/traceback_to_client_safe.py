import logging

from flask import Flask

app = Flask(__name__)


@app.route("/report")
def report():
    try:
        return build_report()
    except ValueError:
        logging.exception("report failed")
        return "The report could not be built.", 500
