import tornado.web


class Page(tornado.web.RequestHandler):
    def get(self):
        self.write("<title>" + self.get_query_argument("title") + "</title>")
