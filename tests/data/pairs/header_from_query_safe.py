from http.server import BaseHTTPRequestHandler
from urllib.parse import parse_qs, urlparse


class Export(BaseHTTPRequestHandler):
    def do_GET(self):
        title = parse_qs(urlparse(self.path).query)["title"][0]
        self.send_response(200)
        self.send_header("X-Title", title.replace("\r", "").replace("\n", ""))
        self.end_headers()
