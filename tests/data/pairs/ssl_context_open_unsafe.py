import ssl
import urllib.request


def read(path):
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return urllib.request.urlopen("https://api.example.org/" + path, context=context).read()
