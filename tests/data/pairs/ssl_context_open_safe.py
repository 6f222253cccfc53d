import ssl
import urllib.request


def read(path):
    context = ssl.create_default_context(cafile="ca.pem")
    return urllib.request.urlopen("https://api.example.org/" + path, context=context).read()
