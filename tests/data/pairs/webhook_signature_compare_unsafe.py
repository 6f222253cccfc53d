import hashlib
import hmac

from flask import Flask, abort, request

app = Flask(__name__)


@app.post("/webhook")
def webhook():
    expected = hmac.new(app.config["KEY"], request.data, hashlib.sha256).hexdigest()
    if request.headers["X-Signature"] != expected:
        abort(403)
    return {"ok": True}
