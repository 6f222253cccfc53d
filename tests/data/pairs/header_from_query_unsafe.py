import tornado.web


class Export(tornado.web.RequestHandler):
    def get(self):
        self.set_header("X-Title", self.get_argument("title"))
        self.finish({"ok": True})
