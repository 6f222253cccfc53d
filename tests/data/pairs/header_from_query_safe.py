import tornado.web


class Export(tornado.web.RequestHandler):
    def get(self):
        title = self.get_argument("title").replace("\r", "").replace("\n", "")
        self.set_header("X-Title", title)
        self.finish({"ok": True})
