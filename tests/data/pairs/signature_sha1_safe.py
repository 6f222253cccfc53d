import hashlib
import hmac


def sign_token(token, secret):
    return hmac.new(secret.encode(), token.encode(), hashlib.sha256).hexdigest()
